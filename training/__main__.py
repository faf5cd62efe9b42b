"""The command `python -m training`."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from inference.errors import ModelInvalid
from training import commands
from training.casing import EncoderInvalid
from training.checkpoint import CheckpointInvalid
from training.data import DataInvalid
from training.export import ExportFailed
from training.fine_tune import Recipe
from training.publication import PublicationRefused

# What a person can put right; anything else is a bug and shows where.
_EXPECTED = (
    DataInvalid,
    CheckpointInvalid,
    EncoderInvalid,
    ExportFailed,
    ModelInvalid,
    PublicationRefused,
    FileNotFoundError,
)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    data = argparse.ArgumentParser(add_help=False)
    data.add_argument("--data", type=Path, required=True, help="folder of the labelled sets")

    place = argparse.ArgumentParser(add_help=False)
    place.add_argument(
        "--run", type=Path, default=Path("runs/ner-en"), help="folder of the checkpoint"
    )
    place.add_argument("--models", type=Path, default=Path("models"), help="model repository")
    place.add_argument("--threads", type=int, default=2, help="cores to use")

    recipe = argparse.ArgumentParser(add_help=False)
    defaults = Recipe()
    recipe.add_argument(
        "--encoder", default="", help="Hugging Face folder or hub name; default: the package"
    )
    recipe.add_argument("--epochs", type=int, default=defaults.epochs)
    recipe.add_argument("--batch-size", type=int, default=defaults.batch_size)
    recipe.add_argument("--learning-rate", type=float, default=defaults.learning_rate)
    recipe.add_argument("--seed", type=int, default=defaults.seed)
    recipe.add_argument(
        "--bfloat16",
        action="store_true",
        help="multiply in bfloat16: more than twice as fast where the processor has it",
    )

    target = argparse.ArgumentParser(add_help=False)
    target.add_argument("--name", default="ner-en")
    target.add_argument("--version", default="", help="default: the next number")
    target.add_argument("--replace", action="store_true", help="overwrite the version")

    model = argparse.ArgumentParser(add_help=False)
    model.add_argument(
        "--model", type=Path, required=True, help="ONNX file; its tokenizer lies beside it"
    )

    root = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    add = root.add_subparsers(dest="command", required=True, metavar="COMMAND").add_parser
    add("fine-tune", parents=[data, place, recipe], help="data to checkpoint")
    add("export", parents=[data, place], help="checkpoint to float32 ONNX, compared with it")
    quantize = add("quantize", parents=[place], help="float32 ONNX to int8 ONNX")
    quantize.set_defaults(data=Path())
    add("evaluate", parents=[data, place, model], help="entity F1 on the dev splits")
    add(
        "batch-independence", parents=[data, place], help="answers alone against answers in a batch"
    )
    add(
        "document-agreement", parents=[data, place, model], help="documents against their sentences"
    )
    add(
        "publish",
        parents=[data, place, target],
        help="export, quantize, measure, write the version",
    )
    add("train", parents=[data, place, recipe, target], help="fine-tune, then publish")
    return root


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
        arguments: the command line; None: the process's own.

    Returns:
        The exit status: 0, or 1 after a message on standard error.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        _run(parser().parse_args(arguments))
    except _EXPECTED as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _run(options: argparse.Namespace) -> None:
    place = commands.Workplace(options.data, options.run, options.models, options.threads)
    match options.command:
        case "fine-tune":
            commands.run_fine_tune(place, _recipe(options), _command(options))
        case "export":
            commands.run_export(place)
        case "quantize":
            commands.run_quantize(place)
        case "evaluate":
            commands.run_evaluate(place, options.model)
        case "batch-independence":
            commands.run_batch_independence(place)
        case "document-agreement":
            commands.run_document_agreement(place, options.model)
        case "publish":
            _publish(place, options)
        case _:
            commands.run_fine_tune(place, _recipe(options), _command(options))
            _publish(place, options)


def _publish(place: commands.Workplace, options: argparse.Namespace) -> None:
    commands.run_publish(place, options.name, options.version, replace_version=options.replace)


def _recipe(options: argparse.Namespace) -> Recipe:
    return Recipe(
        encoder=options.encoder,
        epochs=options.epochs,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        seed=options.seed,
        bfloat16=options.bfloat16,
    )


def _command(options: argparse.Namespace) -> str:
    """The command line that trains this again, without the paths of this machine."""
    words = ["python -m training fine-tune --data DIR"]
    if options.encoder:
        words.append(f"--encoder {options.encoder}")
    words += [
        f"--epochs {options.epochs}",
        f"--batch-size {options.batch_size}",
        f"--learning-rate {options.learning_rate:g}",
        f"--seed {options.seed}",
    ]
    if options.bfloat16:
        words.append("--bfloat16")
    return " ".join(words)


if __name__ == "__main__":
    sys.exit(main())
