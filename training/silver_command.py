"""The command `silver`: bare text to a set that teachers have labelled."""

import argparse

from training.commands import Workplace
from training.data_folder import read_corpus
from training.device import device_of
from training.recipe import Recipe
from training.silver import write_silver


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
