"""Runs the commands of `python -m training`: all that its arguments alone do not need."""

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

from inference.errors import ModelInvalid
from training import commands, sources
from training.answers import AnswersInvalid
from training.ask_command import run_ask, run_mix
from training.best_recipe import BestRecipeInvalid
from training.casing import EncoderInvalid
from training.chain import SAMPLE_SETTINGS, run_chain, sample_recipe
from training.checkpoint import CheckpointInvalid
from training.command_line import parser
from training.data import DataInvalid
from training.data_folder import unused_folders
from training.docred import write_docred
from training.export import ExportFailed
from training.fine_tune_command import FineTuning, run_fine_tune
from training.gate import GateRefused
from training.model_soup import average
from training.passages_command import run_passages
from training.publication import PublicationRefused, check_vacant_version
from training.published_run import published_run
from training.quantization_command import run_compare_quantization
from training.recipe import Recipe, RecipeInvalid
from training.recipe_options import command_of, given_settings, recipe_of
from training.recognition import WINDOW_TOKENS, load_recognizer
from training.restoration import restore
from training.run import TrainingInterrupted
from training.search_command import Searching, run_searching
from training.search_space import SpaceInvalid
from training.served_model import ServingFailed
from training.set_file import SET_FILE
from training.silver_command import run_silver
from training.speed_command import run_speed
from training.study import SearchRefused
from training.threads import keep_to
from training.tracking import TrackingFailed, open_store
from training.training_state import StateInvalid
from training.unsure_command import run_unsure

# What a shell gives a process that Ctrl-C ended, and one that wrote what nobody reads.
_STOPPED_STATUS = 130
_UNREAD_STATUS = 141
# What a person can put right; anything else is a bug and shows where.
_EXPECTED = (
    AnswersInvalid,
    BestRecipeInvalid,
    DataInvalid,
    CheckpointInvalid,
    EncoderInvalid,
    ExportFailed,
    GateRefused,
    ModelInvalid,
    PublicationRefused,
    RecipeInvalid,
    SearchRefused,
    ServingFailed,
    SpaceInvalid,
    StateInvalid,
    TrackingFailed,
    FileNotFoundError,
)
# What makes something of the sets themselves.
_ON_SETS = {
    "ask": run_ask,
    "passages": run_passages,
    "silver": run_silver,
    "unsure": run_unsure,
}


def run(options: argparse.Namespace, words: Sequence[str]) -> int:
    """Runs a command.

    Args:
        options: of `training.command_line.parser`.
        words: that they were read from.

    Returns:
        The exit status: 0; 1 after a message on standard error; 130 after Ctrl-C; 141 when
        whoever read standard output has gone, as `head` does.
    """
    try:
        _run(options)
        sys.stdout.flush()  # here, where it may fail, rather than at the end of the process
    except TrainingInterrupted as stopped:
        print(f"stopped: {stopped}", file=sys.stderr)
        if hasattr(options, "resume") and getattr(options, "state_steps", True):
            again = [*words, *([] if options.resume else ["--resume"])]
            print(f"go on with: python -m training {shlex.join(again)}", file=sys.stderr)
        return _STOPPED_STATUS
    except KeyboardInterrupt:
        return _STOPPED_STATUS
    except BrokenPipeError:
        # What is still to be written goes nowhere.
        # https://docs.python.org/3/library/signal.html#note-on-sigpipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _UNREAD_STATUS
    except _EXPECTED as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _run(options: argparse.Namespace) -> None:
    keep_to(options.threads)
    match options.command:
        case "train" if options.data is None:
            _refuse_what_the_sample_decides(options)
            run_chain(sample_recipe(recipe_of(options)))
        case "average":
            average(options.checkpoints, options.run, begun_apart=options.begun_apart)
        case "restore":
            restore(options.version, options.run)
        case "mix":
            run_mix(options)
        case "docred":
            recognizer = load_recognizer(options.model, WINDOW_TOKENS, options.threads)
            learned, measured = write_docred(options.files, options.into, recognizer)
            print(f"{options.into}: {learned} sentences to learn, {measured} to measure")
        case _:
            _run_on_data(options)


def _refuse_what_the_sample_decides(options: argparse.Namespace) -> None:
    """Whoever forgot --data sees it at once, not after minutes, in a model of made-up names."""
    defaults = vars(parser().parse_args(["train"]))
    taken = {field.name for field in fields(Recipe)} - SAMPLE_SETTINGS.keys() | {"from_study"}
    vain = [
        f"--{name.replace('_', '-')}"
        for name, value in vars(options).items()
        if name not in taken and value != defaults.get(name)
    ]
    if vain:
        raise DataInvalid(
            f"train without --data learns a built-in sample, which takes no {', '.join(vain)}: add"
            " --data DIR"
        )


def _run_on_data(options: argparse.Namespace) -> None:
    place = commands.Workplace(
        data=sources.fetch(options.data, options.data_cache),
        run=options.run,
        models=options.models,
        threads=options.threads,
        sets=tuple(options.sets),
        drop_duplicates=options.drop_duplicates,
    )
    if not place.sets:
        _tell_what_is_unused(place.data)
    match options.command:
        case "fine-tune":
            _fine_tune(place, options)
        case "calibrate":
            commands.run_calibrate(place, options.shift)
        case "export":
            commands.run_export(place)
        case "quantize":
            commands.run_quantize(place)
        case "search":
            _search(place, options)
        case "ask" | "passages" | "silver" | "unsure":
            _ON_SETS[options.command](place, options)
        case "publish":
            with published_run(options.run, options.from_run, options.from_alias) as run:
                _publish(replace(place, run=run), options)
        case "train":
            _train(place, options)
        case _:
            _measure(place, options)


def _tell_what_is_unused(data: Path) -> None:
    unused = unused_folders(data) if data.is_dir() else []
    if unused:
        print(f"not used, as there is no {SET_FILE} in them: {', '.join(unused)}", file=sys.stderr)


def _measure(place: commands.Workplace, options: argparse.Namespace) -> None:
    match options.command:
        case "evaluate":
            commands.run_evaluate(
                place,
                options.model,
                options.json,
                options.report,
                in_cases=options.cases,
                in_documents=options.documents,
            )
        case "batch-independence":
            commands.run_batch_independence(place)
        case "document-agreement":
            commands.run_document_agreement(place, options.model)
        case "speed":
            run_speed(place, options.beside, options.seconds)
        case _:
            run_compare_quantization(place)


def _fine_tune(place: commands.Workplace, options: argparse.Namespace) -> None:
    recipe = recipe_of(options)
    run_fine_tune(
        place,
        recipe,
        FineTuning(
            command_of(recipe, options.sets, drop_duplicates=place.drop_duplicates),
            options.name,
            options.alias,
            None if options.no_tracking else open_store,
            options.resume,
            options.state_steps,
        ),
    )


def _train(place: commands.Workplace, options: argparse.Namespace) -> None:
    """Fine-tunes, then publishes; where that fails, says how to do it without learning again."""
    check_vacant_version(place.models, options.name, options.version, replace=options.replace)
    _fine_tune(place, options)
    try:
        _publish(place, options)
    except (GateRefused, PublicationRefused, ExportFailed) as error:
        raise type(error)(f"{error}; {_left_to_publish(options)}") from error
    except KeyboardInterrupt:
        print(f"stopped: {_left_to_publish(options)}", file=sys.stderr)
        raise


def _left_to_publish(options: argparse.Namespace) -> str:
    words = ["python", "-m", "training", "publish", "--data", options.data]
    words += ["--run", str(options.run), "--models", str(options.models), "--name", options.name]
    words += ["--sets", *options.sets] if options.sets else []
    words += ["--version", options.version] if options.version else []
    words += ["--replace"] if options.replace else []
    return f"all is learned; what is left is: {shlex.join(words)}"


def _search(place: commands.Workplace, options: argparse.Namespace) -> None:
    workers = max(1, options.workers)
    base = replace(recipe_of(options), threads=max(1, options.threads // workers))
    run_searching(
        place,
        base,
        Searching(
            options.study,
            options.space,
            options.trials,
            workers,
            not options.no_tracking,
            tuple(given_settings(options)),
        ),
    )


def _publish(place: commands.Workplace, options: argparse.Namespace) -> None:
    commands.run_publish(
        place,
        options.name,
        options.version,
        replace_version=options.replace,
        largest_loss=options.largest_loss,
        quantized=getattr(options, "quantized", None),
    )
