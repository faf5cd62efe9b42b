"""The command `passages`: consecutive sentences of sets, joined to longer texts."""

import argparse
from pathlib import Path

from training.beginning import encoder_tokenizer
from training.commands import Workplace, dev_corpora
from training.data import read_training_corpora
from training.passages import SEPARATORS, Packing, layouts, write_passages
from training.recognition import WINDOW_TOKENS


def add_passages_options(parser: argparse.ArgumentParser) -> None:
    """Adds what the command is told beside the data.

    Args:
        parser: of the command.
    """
    parser.add_argument(
        "--into", type=Path, required=True, metavar="FOLDER", help="gets a folder for each set"
    )
    parser.add_argument(
        "--window-tokens",
        type=_window,
        default=WINDOW_TOKENS,
        metavar="TOKENS",
        help="most in a passage, with [CLS] and [SEP]: the service's INFERENCE_WINDOW_TOKENS",
    )
    parser.add_argument(
        "--layouts",
        type=_count,
        default=1,
        help="times that the train split is joined, with other borders each time",
    )
    parser.add_argument(
        "--separator",
        choices=SEPARATORS,
        default="space",
        help="stands between two sentences",
    )
    parser.add_argument("--encoder", default="", help="whose tokens are counted")
    parser.set_defaults(run=Path(), models=Path(), threads=1)


def run_passages(place: Workplace, options: argparse.Namespace) -> None:
    """Runs it.

    Args:
        place: where the sentences are.
        options: of `add_passages_options`.

    Raises:
        DataInvalid: a file of a set is missing or wrong, a sentence is in train and in dev, or
            the sets would be written over.
        EncoderInvalid: the encoder's tokenizer is not an uncased WordPiece.
    """
    place.refuse_to_write_over(options.into, "the sentences")
    tokenizer = encoder_tokenizer(options.encoder)

    def length(text: str) -> int:
        return len(tokenizer.encode(text, add_special_tokens=False))

    packing = Packing(
        length,
        options.window_tokens - tokenizer.num_special_tokens_to_add(is_pair=False),
        SEPARATORS[options.separator],
    )
    trained = read_training_corpora(
        place.data, place.sources, drop_duplicates=place.drop_duplicates
    )
    for corpora, split, count in (
        (trained, "train", options.layouts),
        (dev_corpora(place), "dev", 1),
    ):
        for corpus in corpora:
            folder = options.into / corpus.source.name
            passages = layouts(corpus.examples, packing, count)
            written = write_passages(folder, corpus, split, passages)
            print(f"{folder}: {written} passages of {len(corpus.examples)} sentences of {split}")


def _window(word: str) -> int:
    tokens = int(word)
    if tokens < 3:
        raise argparse.ArgumentTypeError(f"{word}: at least 3, two of them special")
    return tokens


def _count(word: str) -> int:
    count = int(word)
    if count < 1:
        raise argparse.ArgumentTypeError(f"{word}: at least 1")
    return count
