"""Nothing that either service reads can run code: no module of theirs knows how to unpickle."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]
_PACKAGES = ("gateway", "inference", "telemetry", "credentials", "protos", "nerve")
# Modules whose loading of data runs code, and calls that do.
_MODULES = frozenset(
    {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "torch"}
)
_CALLS = frozenset({"eval", "exec", "compile", "__import__"})


def _sources() -> Iterator[Path]:
    for package in _PACKAGES:
        yield from (_ROOT / package).rglob("*.py")


def _faults(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.partition(".")[0] in _MODULES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in _MODULES:
            yield str(node.module)
        elif isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else ""
            if name in _CALLS:
                yield f"{name}()"
            if any(k.arg == "allow_pickle" and not _is_false(k.value) for k in node.keywords):
                yield "allow_pickle"


def _is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


def test_no_served_source_unpickles_or_evaluates() -> None:
    sources = list(_sources())
    assert len(sources) > 50
    faults = {
        str(path.relative_to(_ROOT)): found
        for path in sources
        if (found := list(_faults(ast.parse(path.read_text()))))
    }
    assert faults == {}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle", "from torch import load", "import numpy\nnumpy.load(f, allow_pickle=True)",
        "eval(text)", "import joblib.numpy_pickle",
    ],
)  # fmt: skip
def test_what_would_is_found(source: str) -> None:
    assert list(_faults(ast.parse(source)))
