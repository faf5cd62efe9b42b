"""The options of the command `passages`."""

import argparse

from training.option_types import add_into_folder, count
from training.passages import SEPARATORS
from training.recognition import WINDOW_TOKENS


def add_passages_options(parser: argparse.ArgumentParser) -> None:
    """Adds what the command is told beside the data.

    Args:
        parser: of the command.
    """
    add_into_folder(parser)
    parser.add_argument(
        "--window-tokens",
        type=_window,
        default=WINDOW_TOKENS,
        metavar="TOKENS",
        help="most in a passage, with [CLS] and [SEP]: the service's INFERENCE_WINDOW_TOKENS",
    )
    parser.add_argument(
        "--layouts",
        type=count,
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


def _window(word: str) -> int:
    tokens = int(word)
    if tokens < 3:
        raise argparse.ArgumentTypeError(f"{word}: at least 3, two of them special")
    return tokens
