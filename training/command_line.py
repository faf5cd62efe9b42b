"""The options of `python -m training`."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from inference.routing import NAME_PATTERN
from training import gate
from training.option_types import add_into_folder, count, finite
from training.passages_options import add_passages_options
from training.recipe_options import recipe_parser
from training.search_space import DEFAULT_SPACE
from training.speed import MEASURED_S
from training.teachers_options import (
    add_ask_options,
    add_mix_options,
    add_silver_options,
    teachers_parser,
)

# The state of the model that ships is 270 MB: a second of writing in some minutes of learning.
_STATE_STEPS = 200
_ALIAS = "newest"
_DESCRIPTION = "Trains models, measures them and publishes them."


class _Shared(NamedTuple):
    """Options that several commands have, as parents of their parsers."""

    data: argparse.ArgumentParser
    run: argparse.ArgumentParser
    threads: argparse.ArgumentParser
    learned: argparse.ArgumentParser
    quantized: argparse.ArgumentParser
    recipe: argparse.ArgumentParser
    named: argparse.ArgumentParser
    kept: argparse.ArgumentParser
    target: argparse.ArgumentParser
    model: argparse.ArgumentParser

    @property
    def place(self) -> list[argparse.ArgumentParser]:
        """Of the commands that read sets and work in the folder of a checkpoint."""
        return [self.data, self.run, self.threads]


_Add = Callable[..., argparse.ArgumentParser]  # of a command, by its name


def parser() -> argparse.ArgumentParser:
    """The command line."""
    root = argparse.ArgumentParser(prog="python -m training", description=_DESCRIPTION)
    # Of the commands that have no such options.
    root.set_defaults(run=Path(), models=Path(), threads=1, drop_duplicates=False)
    add = root.add_subparsers(dest="command", required=True, metavar="COMMAND").add_parser
    shared = _Shared(
        data=_data_parser(is_required=True),
        run=_run_parser(),
        threads=_threads_parser(),
        learned=_duplicates_parser(
            "do not learn sentences that are also measured; else they are refused"
        ),
        quantized=_duplicates_parser("no effect: sentences that are measured fix no scale"),
        recipe=recipe_parser(),
        named=_named_parser(),
        kept=_kept_parser(),
        target=_target_parser(),
        model=_model_parser(),
    )
    _add_commands_on_checkpoints(add, shared)
    _add_commands_that_measure(add, shared)
    _add_whole_chains(add, shared)
    _add_commands_on_sets(add, shared)
    return root


def _add_commands_on_checkpoints(add: _Add, shared: _Shared) -> None:
    """Adds what makes a checkpoint, or a model file of one."""
    add(
        "fine-tune",
        parents=[*shared.place, shared.learned, shared.recipe, shared.named, shared.kept],
        help="data to checkpoint",
    )
    restored = add(
        "restore", parents=[shared.run], help="published version to checkpoint, if its own has gone"
    )
    restored.add_argument("--from", dest="version", type=Path, required=True, metavar="FOLDER")
    averaged = add("average", parents=[shared.run], help="mean of checkpoints")
    averaged.add_argument("checkpoints", type=Path, nargs="+", metavar="RUN")
    averaged.add_argument(
        "--begun-apart",
        action="store_true",
        help="take also runs that did not begin with the same trained weights, as those of several"
        " stages: measure what comes of it",
    )
    _add_calibrate(
        add("calibrate", parents=shared.place, help="find what dev tells of its scores, once")
    )
    add("export", parents=shared.place, help="checkpoint to float32 ONNX, compared with it")
    add("quantize", parents=[*shared.place, shared.quantized], help="float32 ONNX to int8 ONNX")


def _add_commands_that_measure(add: _Add, shared: _Shared) -> None:
    """Adds what says how good or how fast a model is."""
    measured = [shared.data, shared.threads, shared.model]
    _add_evaluate(add("evaluate", parents=measured, help="entity F1 on the dev splits"))
    add("batch-independence", parents=shared.place, help="answers alone against answers in a batch")
    add("document-agreement", parents=measured, help="documents against their sentences")
    add(
        "compare-quantization",
        parents=[*shared.place, shared.learned],
        help="F1, speed and size of each way to make the model int8",
    )
    _add_speed(
        add(
            "speed",
            parents=shared.place,
            help="tokens a second of the int8 file, beside those of the plain int8 export",
        )
    )


def _add_whole_chains(add: _Add, shared: _Shared) -> None:
    """Adds what does several of the steps above in turn."""
    _add_publish(
        add(
            "publish",
            parents=[*shared.place, shared.quantized, shared.named, shared.target],
            help="export, quantize, measure, write the version",
        )
    )
    place = [_data_parser(is_required=False), shared.run, shared.threads]
    add(
        "train",
        parents=[
            *place,
            shared.learned,
            shared.recipe,
            shared.named,
            shared.kept,
            shared.target,
        ],
        help="fine-tune, then publish; without --data: every step on a built-in sample, then served"
        " and thrown away",
    )
    _add_search(
        add(
            "search",
            parents=[shared.data, shared.learned, shared.recipe],
            help="try recipes; keep the best",
        )
    )


def _add_commands_on_sets(add: _Add, shared: _Shared) -> None:
    """Adds what makes sets, or says something of their texts."""
    asked = teachers_parser()
    add_ask_options(
        add(
            "ask",
            parents=[
                shared.data,
                asked,
                _duplicates_parser("no effect: all are asked about, measured or not"),
            ],
            help="what teachers think of each sentence, for --answers",
        )
    )
    add_mix_options(add("mix", help="the weighted mean of what teachers answered apart"))
    add_silver_options(
        add(
            "silver",
            parents=[shared.data, asked],
            help="bare text to a set that teachers have labelled",
        )
    )
    _add_unsure(
        add(
            "unsure",
            parents=[shared.data, shared.threads, shared.model],
            help="the bare text that a model is least sure of, as a set: ask teachers about it, or"
            " people",
        )
    )
    add_passages_options(
        add(
            "passages",
            parents=[shared.data, shared.learned],
            help="sets whose texts are consecutive sentences together",
        )
    )
    _add_docred(add("docred", parents=[shared.model], help="files of DocRED to a labelled set"))


def _run_parser() -> argparse.ArgumentParser:
    run = argparse.ArgumentParser(add_help=False)
    run.add_argument(
        "--run", type=Path, default=Path("runs/ner-en"), help="folder of the checkpoint"
    )
    return run


def _threads_parser() -> argparse.ArgumentParser:
    threads = argparse.ArgumentParser(add_help=False)
    threads.add_argument("--threads", type=count, default=2, help="cores to use")
    return threads


def _named_parser() -> argparse.ArgumentParser:
    named = argparse.ArgumentParser(add_help=False)
    named.add_argument("--name", type=_served_name, default="ner-en", help="of the model")
    return named


def _model_parser() -> argparse.ArgumentParser:
    model = argparse.ArgumentParser(add_help=False)
    model.add_argument(
        "--model", type=Path, required=True, help="ONNX file; its tokenizer lies beside it"
    )
    return model


def _duplicates_parser(effect: str) -> argparse.ArgumentParser:
    """Where it has no effect, commands that are recorded (ADR 28) give it all the same."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--drop-duplicates", action="store_true", help=effect)
    return parser


def _target_parser() -> argparse.ArgumentParser:
    target = argparse.ArgumentParser(add_help=False)
    target.add_argument("--models", type=Path, default=Path("models"), help="model repository")
    target.add_argument("--version", type=_served_name, help="default: the next number")
    target.add_argument("--replace", action="store_true", help="overwrite the version")
    target.add_argument(
        "--largest-loss",
        type=float,
        default=gate.LARGEST_LOSS,
        metavar="F1",
        help="that int8 may cost, as the mean over the sets, in percent",
    )
    return target


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
    return data


def _add_calibrate(calibrate: argparse.ArgumentParser) -> None:
    calibrate.add_argument(
        "--shift",
        type=finite,
        metavar="LOGITS",
        help="of O, in place of the least that is as good as the best: above 0 fewer names are"
        " found, and more of them are right; a run that was calibrated is calibrated anew",
    )


def _add_evaluate(evaluate: argparse.ArgumentParser) -> None:
    evaluate.add_argument("--json", type=Path, metavar="OUT", help="write the figures as JSON")
    evaluate.add_argument("--report", type=Path, metavar="OUT.html", help="write what went wrong")
    evaluate.add_argument(
        "--cases",
        action="store_true",
        help="measure the texts in small letters, in capitals and capitalized as well",
    )
    evaluate.add_argument(
        "--documents",
        action="store_true",
        help="measure whole documents as well, a sentence a line, of the sets that say what"
        " document a sentence is of",
    )


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
    publish.add_argument(
        "--quantized",
        type=Path,
        metavar="FILE",
        help="the int8 file of this model, such as that of the version it was restored from;"
        " default: quantize",
    )


def _add_search(search: argparse.ArgumentParser) -> None:
    search.add_argument(
        "--study",
        type=Path,
        default=Path("runs/search"),
        help="folder; gone on with if it is there",
    )
    search.add_argument(
        "--space",
        type=Path,
        default=DEFAULT_SPACE,
        help="TOML file: what to vary, and how far; such options are then refused",
    )
    search.add_argument("--trials", type=count, default=20, help="in the study when it is done")
    search.add_argument("--workers", type=count, default=1, help="processes")
    search.add_argument(
        "--threads", type=count, default=2, help="cores to use, all workers together"
    )
    search.add_argument("--no-tracking", action="store_true", help="keep nothing in MLflow")


def _add_unsure(unsure: argparse.ArgumentParser) -> None:
    unsure.add_argument(
        "--most", type=count, required=True, metavar="TEXTS", help="of all sets together"
    )
    add_into_folder(unsure)


def _add_docred(converted: argparse.ArgumentParser) -> None:
    converted.add_argument("files", type=Path, nargs="+", metavar="FILE.json")
    converted.add_argument("--into", type=Path, required=True, metavar="FOLDER", help="of the set")
    converted.add_argument("--threads", type=count, default=2, help="cores to use")


def _served_name(word: str) -> str:
    """Of a folder that the service sees: it passes over those of other names."""
    if not NAME_PATTERN.fullmatch(word):
        raise argparse.ArgumentTypeError(
            f"{word!r}: the service sees names of 64 at most of A-Z, a-z, 0-9, '.', '_' and '-',"
            " the first a letter or digit"
        )
    return word
