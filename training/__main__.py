"""The command `python -m training`."""

import argparse
import logging
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from inference.errors import ModelInvalid
from training import commands, gate, sources
from training.answers import AnswersInvalid
from training.ask_command import add_ask_options, run_ask
from training.best_recipe import BestRecipeInvalid
from training.casing import EncoderInvalid
from training.chain import run_chain, sample_recipe
from training.checkpoint import CheckpointInvalid
from training.data import DataInvalid
from training.docred import write_docred
from training.export import ExportFailed
from training.fine_tune_command import FineTuning, run_fine_tune
from training.gate import GateRefused
from training.model_soup import average
from training.publication import PublicationRefused
from training.published_run import published_run
from training.quantization_command import run_compare_quantization
from training.recipe_options import command_of, recipe_of, recipe_parser
from training.recognition import WINDOW_TOKENS, load_recognizer
from training.restoration import restore
from training.run import TrainingInterrupted
from training.score_calibration import calibrate
from training.search_command import Searching, run_searching
from training.search_space import DEFAULT_SPACE, SpaceInvalid
from training.served_model import ServingFailed
from training.silver_command import add_silver_options, run_silver
from training.speed import MEASURED_S
from training.speed_command import run_speed
from training.study import SearchRefused
from training.teachers_options import teachers_parser
from training.tracking import TrackingFailed
from training.training_state import StateInvalid

# What a shell gives a process that Ctrl-C ended.
_STOPPED_STATUS = 130
# The state of the model that ships is 270 MB: a second of writing in some minutes of learning.
_STATE_STEPS = 200
_ALIAS = "newest"
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
    SearchRefused,
    ServingFailed,
    SpaceInvalid,
    StateInvalid,
    TrackingFailed,
    FileNotFoundError,
)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    data = _data_parser(is_required=True)
    place = argparse.ArgumentParser(add_help=False)
    place.add_argument(
        "--run", type=Path, default=Path("runs/ner-en"), help="folder of the checkpoint"
    )
    place.add_argument("--models", type=Path, default=Path("models"), help="model repository")
    place.add_argument("--threads", type=int, default=2, help="cores to use")

    recipe = recipe_parser()
    named = argparse.ArgumentParser(add_help=False)
    named.add_argument("--name", default="ner-en", help="of the model")

    kept = _kept_parser()
    target = argparse.ArgumentParser(add_help=False)
    target.add_argument("--version", default="", help="default: the next number")
    target.add_argument("--replace", action="store_true", help="overwrite the version")
    target.add_argument(
        "--largest-loss",
        type=float,
        default=gate.LARGEST_LOSS,
        metavar="F1",
        help="that int8 may cost, as the mean over the sets, in percent",
    )

    model = argparse.ArgumentParser(add_help=False)
    model.add_argument(
        "--model", type=Path, required=True, help="ONNX file; its tokenizer lies beside it"
    )

    root = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    add = root.add_subparsers(dest="command", required=True, metavar="COMMAND").add_parser
    add("fine-tune", parents=[data, place, recipe, named, kept], help="data to checkpoint")
    _add_restore(
        add("restore", parents=[place], help="published version to checkpoint, if its own has gone")
    )
    averaged = add("average", parents=[place], help="mean of checkpoints that began alike")
    averaged.add_argument("checkpoints", type=Path, nargs="+", metavar="RUN")
    add(
        "calibrate",
        parents=[data, place],
        help="find its shift of O and temperature, once",
    )
    add("export", parents=[data, place], help="checkpoint to float32 ONNX, compared with it")
    quantize = add("quantize", parents=[place], help="float32 ONNX to int8 ONNX")
    quantize.set_defaults(data=".", data_cache=Path(), sets=(), drop_duplicates=False)
    _add_evaluate(add("evaluate", parents=[data, place, model], help="entity F1 on the dev splits"))
    add(
        "batch-independence", parents=[data, place], help="answers alone against answers in a batch"
    )
    add(
        "document-agreement", parents=[data, place, model], help="documents against their sentences"
    )
    add(
        "compare-quantization",
        parents=[data, place],
        help="F1, speed and size of each way to make the model int8",
    )
    _add_speed(
        add(
            "speed",
            parents=[data, place],
            help="tokens a second of the int8 file, beside those of the plain int8 export",
        )
    )
    _add_publish(
        add(
            "publish",
            parents=[data, place, named, target],
            help="export, quantize, measure, write the version",
        )
    )
    add(
        "train",
        parents=[_data_parser(is_required=False), place, recipe, named, kept, target],
        help="fine-tune, then publish; without --data: every step on a built-in sample, then served"
        " and thrown away",
    )
    _add_search(add("search", parents=[data, recipe], help="try recipes; keep the best"))
    asked = teachers_parser()
    add_ask_options(
        add(
            "ask", parents=[data, asked], help="what teachers think of each sentence, for --answers"
        )
    )
    add_silver_options(
        add("silver", parents=[data, asked], help="bare text to a set that teachers have labelled")
    )
    _add_docred(add("docred", parents=[model], help="files of DocRED to a labelled set"))
    return root


def _kept_parser() -> argparse.ArgumentParser:
    kept = argparse.ArgumentParser(add_help=False)
    kept.add_argument(
        "--resume", action="store_true", help="go on with the run that was stopped in --run"
    )
    kept.add_argument(
        "--state-steps",
        type=int,
        default=_STATE_STEPS,
        metavar="STEPS",
        help="write the state that --resume goes on from so often, and after each epoch",
    )
    kept.add_argument(
        "--alias", default=_ALIAS, help="of the registered model: it moves to this run"
    )
    kept.add_argument(
        "--no-tracking",
        action="store_true",
        help="keep nothing in MLflow; its store is mlflow.db beside --run, or the server that"
        " MLFLOW_TRACKING_URI names",
    )
    return kept


def _data_parser(*, is_required: bool) -> argparse.ArgumentParser:
    data = argparse.ArgumentParser(add_help=False)
    data.add_argument(
        "--data",
        required=is_required,
        help="folder of the labelled sets, or REPOSITORY@REVISION[:PATH] of one that DVC keeps",
    )
    data.add_argument(
        "--data-cache", type=Path, default=Path("runs/data"), help="gets what is fetched"
    )
    data.add_argument("--sets", nargs="+", default=(), help="default: whatever sets are there")
    data.add_argument(
        "--drop-duplicates",
        action="store_true",
        help="do not learn sentences that are also measured; else they are refused",
    )
    return data


def _add_evaluate(evaluate: argparse.ArgumentParser) -> None:
    evaluate.add_argument("--json", type=Path, metavar="OUT", help="write the figures as JSON")
    evaluate.add_argument("--report", type=Path, metavar="OUT.html", help="write what went wrong")
    evaluate.add_argument(
        "--cases",
        action="store_true",
        help="measure the texts in small letters, in capitals and capitalized as well",
    )


def _add_restore(restored: argparse.ArgumentParser) -> None:
    restored.add_argument("--from", dest="version", type=Path, required=True, metavar="FOLDER")
    restored.set_defaults(data=".", data_cache=Path(), sets=(), drop_duplicates=False)


def _add_speed(speed: argparse.ArgumentParser) -> None:
    speed.add_argument("--seconds", type=float, default=MEASURED_S, help="of each figure")
    speed.add_argument("--beside", type=Path, nargs="+", default=(), help="more ONNX files")


def _add_publish(publish: argparse.ArgumentParser) -> None:
    tracked = publish.add_mutually_exclusive_group()
    tracked.add_argument(
        "--from-run", metavar="RUN_ID", help="the model of a tracked run, not the one in --run"
    )
    tracked.add_argument(
        "--from-alias", metavar="NAME@ALIAS", help="the registered model with this alias"
    )


def _add_search(search: argparse.ArgumentParser) -> None:
    search.add_argument(
        "--study",
        type=Path,
        default=Path("runs/search"),
        help="folder; gone on with if it is there",
    )
    search.add_argument(
        "--space", type=Path, default=DEFAULT_SPACE, help="TOML file: what to vary, and how far"
    )
    search.add_argument("--trials", type=int, default=20, help="in the study when it is done")
    search.add_argument("--workers", type=int, default=1, help="processes")
    search.add_argument("--threads", type=int, default=2, help="cores to use, all workers together")
    search.add_argument("--no-tracking", action="store_true", help="keep nothing in MLflow")
    search.set_defaults(run=Path(), models=Path())


def _add_docred(converted: argparse.ArgumentParser) -> None:
    converted.add_argument("files", type=Path, nargs="+", metavar="FILE.json")
    converted.add_argument("--into", type=Path, required=True, metavar="FOLDER", help="of the set")
    converted.add_argument("--threads", type=int, default=2, help="cores to use")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
        arguments: the command line; None: the process's own.

    Returns:
        The exit status: 0; 1 after a message on standard error; 130 after Ctrl-C.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options = parser().parse_args(arguments)
    try:
        _run(options)
    except TrainingInterrupted as stopped:
        print(f"stopped: {stopped}", file=sys.stderr)
        if getattr(options, "state_steps", 0):
            words = [*(sys.argv[1:] if arguments is None else arguments)]
            words += [] if options.resume else ["--resume"]
            print(f"go on with: python -m training {shlex.join(words)}", file=sys.stderr)
        return _STOPPED_STATUS
    except KeyboardInterrupt:
        return _STOPPED_STATUS
    except _EXPECTED as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _run(options: argparse.Namespace) -> None:
    match options.command:
        case "train" if options.data is None:
            run_chain(sample_recipe(recipe_of(options)))
        case "average":
            average(options.checkpoints, options.run)
        case "docred":
            recognizer = load_recognizer(options.model, WINDOW_TOKENS, options.threads)
            learned, measured = write_docred(options.files, options.into, recognizer)
            print(f"{options.into}: {learned} sentences to learn, {measured} to measure")
        case _:
            _run_on_data(options)


def _run_on_data(options: argparse.Namespace) -> None:
    place = commands.Workplace(
        data=sources.fetch(options.data, options.data_cache),
        run=options.run,
        models=options.models,
        threads=options.threads,
        sets=tuple(options.sets),
        drop_duplicates=options.drop_duplicates,
    )
    match options.command:
        case "fine-tune":
            _fine_tune(place, options)
        case "restore":
            restore(options.version, options.run)
        case "calibrate":
            print(calibrate(options.run, commands.dev_corpora(place)))
        case "export":
            commands.run_export(place)
        case "quantize":
            commands.run_quantize(place)
        case "search":
            _search(place, options)
        case "ask" | "silver":
            ask_teachers = run_ask if options.command == "ask" else run_silver
            ask_teachers(place, options)
        case "publish":
            with published_run(options.run, options.from_run, options.from_alias) as run:
                _publish(replace(place, run=run), options)
        case "train":
            _fine_tune(place, options)
            _publish(place, options)
        case _:
            _measure(place, options)


def _measure(place: commands.Workplace, options: argparse.Namespace) -> None:
    match options.command:
        case "evaluate":
            commands.run_evaluate(
                place, options.model, options.json, options.report, in_cases=options.cases
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
            not options.no_tracking,
            options.resume,
            options.state_steps,
        ),
    )


def _search(place: commands.Workplace, options: argparse.Namespace) -> None:
    workers = max(1, options.workers)
    base = replace(recipe_of(options), threads=max(1, options.threads // workers))
    run_searching(
        place,
        base,
        Searching(options.study, options.space, options.trials, workers, not options.no_tracking),
    )


def _publish(place: commands.Workplace, options: argparse.Namespace) -> None:
    commands.run_publish(
        place,
        options.name,
        options.version,
        replace_version=options.replace,
        largest_loss=options.largest_loss,
    )


if __name__ == "__main__":
    sys.exit(main())
