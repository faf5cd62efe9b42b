"""The command `ask`: teachers are asked once about every sentence, and their answers kept."""

import argparse
from pathlib import Path

import torch

from training.answers import ask
from training.commands import Workplace
from training.data import read_corpus
from training.recipe import Recipe, device_of


def add_ask_options(parser: argparse.ArgumentParser) -> None:
    """Adds what the command is told beside the data and of the teachers.

    Args:
        parser: of the command.
    """
    parser.add_argument("--into", type=Path, required=True, metavar="FILE", help="gets the answers")
    parser.add_argument(
        "--most-tokens",
        type=int,
        default=Recipe().most_tokens,
        help="of a sentence; longer are cut",
    )


def run_ask(place: Workplace, options: argparse.Namespace) -> None:
    """Runs it.

    Args:
        place: where the sentences are.
        options: of `add_ask_options`.

    Raises:
        CheckpointInvalid: a teacher is not a checkpoint.
        DataInvalid: a file of a set is missing or wrong.
    """
    torch.set_num_threads(options.threads)
    answers = ask(
        [read_corpus(place.data, source, "train") for source in place.sources],
        options.teachers,
        most_tokens=options.most_tokens,
        bfloat16=options.bfloat16,
        device=device_of(Recipe()).type,
    )
    answers.write(options.into)
    print(f"{options.into}: answers to {len(answers.by_digest)} sentences")
