"""How a network's texts become windows of words: what its `config.json` says of it."""

from tokenizers import Tokenizer as RustTokenizer

from inference.tokenization import Tokenizer
from training.network import Network, joins_words, passage_tokens
from training.recognition import WINDOW_TOKENS


def serving_tokenizer(tokenizer: RustTokenizer, network: Network) -> Tokenizer:
    """The tokenizer of a network as the service would use it.

    Args:
        tokenizer: the network's; it stays as it is.
        network: says what its words and its windows are.
    """
    return Tokenizer(
        RustTokenizer.from_str(tokenizer.to_str()),
        WINDOW_TOKENS,
        joined_words=joins_words(network),
        passage_tokens=passage_tokens(network),
    )
