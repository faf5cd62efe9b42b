"""A wall clock that jumps."""

import ast
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_SERVICES = ("gateway", "inference", "nerve", "telemetry", "credentials")
_WALL_CLOCKS = {"time", "time_ns", "localtime", "gmtime", "now", "utcnow", "today"}
# Requests to a bucket are signed for an instant of the world, tokens of an issuer end at one, and
# spans are laid on one; nothing is measured by it.
_MAY_KNOW_THE_DATE = {
    "gateway/access_tokens.py",
    "inference/sources/aws_signature.py",
    "inference/sources/s3.py",
    "inference/tracing.py",
    "telemetry/tracing.py",
}


def _wall_clocks(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Attribute) and node.attr in _WALL_CLOCKS:
            of = ast.unparse(node.value)
            if of in {"time", "datetime", "date", "datetime.datetime"}:
                yield f"{path.relative_to(_ROOT)}:{node.lineno}: {of}.{node.attr}"
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            names = {alias.name for alias in node.names} & _WALL_CLOCKS
            yield from (f"{path.relative_to(_ROOT)}:{node.lineno}: {name}" for name in names)


def test_no_service_reads_a_clock_that_can_jump() -> None:
    """Deadlines, waits and predictions go by monotonic clocks: a jump changes none of them."""
    paths = [path for name in _SERVICES for path in (_ROOT / name).rglob("*.py")]
    assert len(paths) > 100
    found = [
        one
        for path in paths
        if str(path.relative_to(_ROOT)) not in _MAY_KNOW_THE_DATE
        for one in _wall_clocks(path)
    ]
    assert found == []
