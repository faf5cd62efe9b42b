"""Types of options, and options of several commands, for argparse."""

import argparse
import math
from pathlib import Path


def count(word: str) -> int:
    """A whole number of things, of which there is one at least.

    Raises:
        ArgumentTypeError: there is none.
        ValueError: it is no whole number.
    """
    number = int(word)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{word}: at least 1")
    return number


def finite(word: str) -> float:
    """A number, neither endless nor none.

    Raises:
        ArgumentTypeError: it is one of these.
        ValueError: it is no number at all.
    """
    number = float(word)
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"{word}: give a number")
    return number


def add_into_folder(parser: argparse.ArgumentParser) -> None:
    """Adds where the sets go that a command makes.

    Args:
        parser: of the command.
    """
    parser.add_argument(
        "--into", type=Path, required=True, metavar="FOLDER", help="gets a folder for each set"
    )
