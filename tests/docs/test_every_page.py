"""What holds for the README and every page of `docs/`."""

import re
import subprocess
from pathlib import Path

import pytest

from gateway.settings import GatewaySettings
from inference.settings import Settings as InferenceSettings

_ROOT = Path(__file__).parents[2]
_CHANGES = _ROOT / "CHANGELOG.md"
_PAGES = [_ROOT / "README.md", _CHANGES, *sorted((_ROOT / "docs").rglob("*.md"))]
# Of seven digits, as `git rev-parse --short` writes it.
_COMMIT = re.compile(r"\b(?<=commit )[0-9a-f]{7}\b|\b(?=\w*[a-f])(?=\w*[0-9])[0-9a-f]{7}\b")


@pytest.fixture(params=_PAGES, ids=lambda page: page.name)
def text(request: pytest.FixtureRequest) -> str:
    """The text of each page."""
    page: Path = request.param
    return page.read_text()


def test_a_command_is_told_as_it_is_run_from_a_checkout(text: str) -> None:
    """Nothing installs the project itself, so that there is no command `nerve`."""
    commands = re.findall(r"(?:\S+ ){0,2}\bnerve (?:serve|key|tune)\b", text)
    assert [command for command in commands if "-m nerve" not in command] == []


@pytest.mark.parametrize(
    "variable",
    sorted(
        {
            str(field.validation_alias or f"{prefix}{name}".upper())
            for prefix, settings in (
                ("gateway_", GatewaySettings),
                ("inference_", InferenceSettings),
            )
            for name, field in settings.model_fields.items()
        }
    ),
)
def test_every_setting_is_told(variable: str) -> None:
    """In full, or as `…_END` behind others that begin alike."""
    told = {name for page in _PAGES if page != _CHANGES for name in _variables(page.read_text())}
    ends = tuple(name.removeprefix("…") for name in told if name.startswith("…"))
    assert variable in told or variable.endswith(ends)


def _variables(text: str) -> list[str]:
    return re.findall(r"`((?:[A-Z]+|…)_[A-Z_]+)[`=]", text)


def test_every_commit_that_is_named_exists() -> None:
    """Also in the tables of benchmarks and the cards of models; a word of digits alone is none."""
    pages = [*_PAGES, *(_ROOT / "benchmarks").rglob("*.md"), *(_ROOT / "models").rglob("*.md")]
    named = {commit for page in pages for commit in _COMMIT.findall(page.read_text())}
    assert len(named) > 10
    if _git("rev-parse", "--is-shallow-repository") != "false\n":
        pytest.skip("the history is not here: a shallow clone, or an archive of the source")
    kinds = _git("cat-file", "--batch-check=%(objecttype)", text="\n".join(sorted(named)))
    assert [
        commit
        for commit, kind in zip(sorted(named), kinds.splitlines(), strict=True)
        if kind != "commit"
    ] == []


def _git(*arguments: str, text: str = "") -> str:
    command = ["git", *arguments]
    try:
        done = subprocess.run(
            command, cwd=_ROOT, input=text, capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return done.stdout
