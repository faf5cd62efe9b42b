"""`docs/security.md` names tests that exist, and settings that exist."""

import ast
import re
from pathlib import Path

import pytest

from gateway.settings import GatewaySettings
from inference.settings import Settings as InferenceSettings

_ROOT = Path(__file__).parents[2]
_PAGE = (_ROOT / "docs/security.md").read_text()
_NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", _PAGE)


def test_every_control_names_a_test() -> None:
    table = _PAGE.partition("| control | test |\n|---|---|\n")[2].partition("\n\n")[0]
    rows = table.splitlines()
    assert len(rows) == len(_NAMED) > 50
    assert all(re.fullmatch(r"\|.*\| `tests/[\w/]+\.py::\w+` \|", row) for row in rows)


@pytest.mark.parametrize(("file", "name"), _NAMED)
def test_every_named_test_exists(file: str, name: str) -> None:
    tree = ast.parse((_ROOT / file).read_text())
    functions = {
        node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert name in functions


def test_every_named_setting_exists() -> None:
    fields = {
        f"{prefix}{field.upper()}"
        for prefix, settings in (("GATEWAY_", GatewaySettings), ("INFERENCE_", InferenceSettings))
        for field in settings.model_fields
    }
    named = set(re.findall(r"(?:GATEWAY|INFERENCE)_[A-Z_]+[A-Z]", _PAGE))
    assert len(named) > 20
    of_compose = set(re.findall(r"\$\{(\w+)", (_ROOT / "docker-compose.yml").read_text()))
    assert named <= fields | of_compose
