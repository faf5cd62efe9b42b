"""The commands of `docs/tutorial.md` work as they are written, one after the other."""

import argparse
import re
import shlex
from pathlib import Path

from training.command_line import parser

_PAGE = Path(__file__).parents[2] / "docs/tutorial.md"


def _commands() -> list[argparse.Namespace]:
    written = re.findall(r"^ {4}python -m training (.*)$", _PAGE.read_text(), flags=re.MULTILINE)
    return [parser().parse_args(shlex.split(words)) for words in written]


def test_every_command_is_taken() -> None:
    assert {"fine-tune", "ask", "publish"} <= {options.command for options in _commands()}


def test_answers_are_asked_for_into_files_of_their_own() -> None:
    """A file that holds answers is refused."""
    files = [options.into for options in _commands() if options.command == "ask"]
    assert sorted(files) == sorted(set(files))


def test_each_run_is_registered_under_a_name_of_its_own() -> None:
    """Else a teacher would take the alias of the model that is served."""
    named = {(o.name, o.run) for o in _commands() if o.command == "fine-tune"}
    assert len({name for name, _ in named}) == len({run for _, run in named}) == len(named)
    assert "ner-en" not in {name for name, _ in named}
