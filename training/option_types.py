"""Types of options, for argparse."""

import argparse


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
