"""The commands `ask` and `mix`: teachers are asked once, and their answers kept; then weighed."""

import argparse
from pathlib import Path

from training.answer_mixing import mix
from training.answers import Answers, AnswersInvalid
from training.asking import Keeping, Question, ask
from training.commands import Workplace
from training.data_folder import read_corpus
from training.device import device_of
from training.interruption import Interruption
from training.recipe import Recipe


def run_ask(place: Workplace, options: argparse.Namespace) -> None:
    """Runs `ask`.

    Args:
        place: where the sentences are.
        options: of `add_ask_options`.

    Raises:
        AnswersInvalid: answers stand in the file already, and would be lost.
        CheckpointInvalid: a teacher is not a checkpoint.
        DataInvalid: a file of a set is missing or wrong.
        FileNotFoundError: there are no answers to go on from.
        StateInvalid: those that there are were asked for otherwise.
        TrainingInterrupted: by Ctrl-C.
    """
    into: Path = options.into
    if into.exists() and not options.resume:
        raise AnswersInvalid(
            f"{into}: is there already: --resume keeps its answers and asks about the other"
            " sentences; to ask anew, name another file with --into"
        )
    with Interruption() as interrupted:
        answers = ask(
            [read_corpus(place.data, source, "train") for source in place.sources],
            options.teachers,
            Question(options.most_tokens, options.unasked, options.features),
            keeping=Keeping(
                Answers.load(into) if options.resume else None,
                lambda answers: answers.write(into),
                interrupted=interrupted,
            ),
            bfloat16=options.bfloat16,
            device=device_of(Recipe()).type,
        )
    _write(answers, into)


def run_mix(options: argparse.Namespace) -> None:
    """Runs `mix`.

    Args:
        options: of `add_mix_options`.

    Raises:
        AnswersInvalid: the files cannot be mixed, or something would be written over.
        FileNotFoundError: one is missing.
    """
    if options.into.exists():
        raise AnswersInvalid(f"{options.into}: is there already: name another file with --into")
    parts = [Answers.load(path) for path in options.answers]
    _write(mix(parts, options.weights or [1.0] * len(parts)), options.into)


def _write(answers: Answers, into: Path) -> None:
    answers.write(into)
    print(f"{into}: answers to {len(answers.by_digest)} sentences")
