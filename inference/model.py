"""A loaded model: what the engine needs to answer with one version."""

from dataclasses import dataclass

from inference.decoding import Decoder
from inference.entry import Runnable
from inference.tokenization import Tokenizer


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """One version of a model, ready to run."""

    name: str
    version: str
    tokenizer: Tokenizer
    session: Runnable
    decoder: Decoder
