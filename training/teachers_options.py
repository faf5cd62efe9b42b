"""The options of the commands that ask teachers, or weigh what they answered."""

import argparse
import re
from pathlib import Path

from training.option_types import add_into_folder, count
from training.recipe import Recipe

# Of what teachers say of bare text, the least probability that is taken for a label.
_SURE = 0.7


def teachers_parser() -> argparse.ArgumentParser:
    """The options, as a parent of the parsers that take them."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        "--teachers", nargs="+", required=True, metavar="RUN", help="trained checkpoints"
    )
    parser.add_argument("--bfloat16", action="store_true", help="multiply in bfloat16")
    parser.add_argument("--threads", type=count, default=2, help="cores to use")
    return parser


def add_ask_options(parser: argparse.ArgumentParser) -> None:
    """Adds what `ask` is told beside the data and of the teachers.

    Args:
        parser: of the command.
    """
    _add_into(parser)
    parser.add_argument(
        "--most-tokens",
        type=int,
        default=Recipe().most_tokens,
        help="of a sentence; longer are cut",
    )
    parser.add_argument(
        "--unasked",
        type=_pattern,
        metavar="REGEX",
        help="keep no answer to what matches: there the annotation alone is learned, or what other"
        " teachers say (mix)",
    )
    parser.add_argument(
        "--features",
        action="store_true",
        help="keep what the teacher's hidden layers hold of each token as well, for"
        " --features-share; 0.4 kB a token",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="keep what --into holds, and ask about the other sentences: those that an interrupted"
        " command left, or new ones",
    )


def add_mix_options(parser: argparse.ArgumentParser) -> None:
    """Adds what `mix` is told.

    Args:
        parser: of the command.
    """
    _add_into(parser)
    parser.add_argument("answers", type=Path, nargs="+", metavar="ANSWERS", help="files of `ask`")
    parser.add_argument(
        "--weights",
        type=float,
        nargs="+",
        metavar="WEIGHT",
        help="of each file, in their order; default: equal",
    )


def add_silver_options(parser: argparse.ArgumentParser) -> None:
    """Adds what `silver` is told beside the data and of the teachers.

    Args:
        parser: of the command.
    """
    add_into_folder(parser)
    parser.add_argument(
        "--sure",
        type=_probability,
        default=_SURE,
        metavar="PROBABILITY",
        help="least of what is labelled; the rest is left open",
    )


def _add_into(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--into", type=Path, required=True, metavar="FILE", help="gets the answers")


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"no regular expression: {error}") from error


def _probability(word: str) -> float:
    probability = float(word)
    if not 0 < probability <= 1:
        raise argparse.ArgumentTypeError(f"{word}: not in (0, 1]")
    return probability
