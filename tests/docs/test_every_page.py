"""What holds for the README and every page of `docs/`."""

import re
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_PAGES = [_ROOT / "README.md", _ROOT / "CHANGELOG.md", *sorted((_ROOT / "docs").rglob("*.md"))]


@pytest.fixture(params=_PAGES, ids=lambda page: page.name)
def text(request: pytest.FixtureRequest) -> str:
    """The text of each page."""
    page: Path = request.param
    return page.read_text()


def test_a_command_is_told_as_it_is_run_from_a_checkout(text: str) -> None:
    """Nothing installs the project itself, so that there is no command `nerve`."""
    commands = re.findall(r"(?:\S+ ){0,2}\bnerve (?:serve|key|tune)\b", text)
    assert [command for command in commands if "-m nerve" not in command] == []
