"""The command `silver`: bare text to a set that teachers have labelled."""

import argparse
from pathlib import Path

import torch

from training.commands import Workplace
from training.data import read_corpus
from training.recipe import Recipe, device_of
from training.silver import SURE, write_silver


def add_silver_options(parser: argparse.ArgumentParser) -> None:
    """Adds what the command is told beside the data and of the teachers.

    Args:
        parser: of the command.
    """
    parser.add_argument(
        "--into", type=Path, required=True, metavar="FOLDER", help="gets a folder for each set"
    )
    parser.add_argument(
        "--sure",
        type=_probability,
        default=SURE,
        metavar="PROBABILITY",
        help="least of what is labelled; the rest is left open",
    )


def run_silver(place: Workplace, options: argparse.Namespace) -> None:
    """Runs it.

    Args:
        place: where the bare text is.
        options: of `add_silver_options`.

    Raises:
        CheckpointInvalid: a teacher is not a checkpoint.
        DataInvalid: a set has labels already, its file is missing or wrong, or it would be
            written over.
    """
    place.refuse_to_write_over(options.into, "the bare text")
    torch.set_num_threads(options.threads)
    counts = write_silver(
        [read_corpus(place.data, source, "train") for source in place.sources],
        options.teachers,
        options.into,
        sure=options.sure,
        bfloat16=options.bfloat16,
        device=device_of(Recipe()).type,
    )
    for name, count in counts.items():
        print(f"{options.into / name}: {count} names")


def _probability(word: str) -> float:
    probability = float(word)
    if not 0 < probability <= 1:
        raise argparse.ArgumentTypeError(f"{word}: not in (0, 1]")
    return probability
