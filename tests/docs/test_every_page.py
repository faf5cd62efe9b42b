"""What holds for the README and every page of `docs/`."""

import re
from pathlib import Path

import pytest

from gateway.settings import GatewaySettings
from inference.settings import Settings as InferenceSettings

_ROOT = Path(__file__).parents[2]
_CHANGES = _ROOT / "CHANGELOG.md"
_PAGES = [_ROOT / "README.md", _CHANGES, *sorted((_ROOT / "docs").rglob("*.md"))]


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
