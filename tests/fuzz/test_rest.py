"""Whatever the OpenAPI document allows, and what it forbids, sent to the real stack."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from tests.e2e.stack import ROOT, serving

pytestmark = pytest.mark.timeout(1_800)

_HERE = Path(__file__).parent
# Of the examples of a property, which go to one operation; there are 21 operations, and phases
# besides (boundary values, sequences of calls) that do not depend on it.
_SHARE = 20


def test_no_answer_is_undocumented_and_none_is_a_fault(tmp_path: Path) -> None:
    """All checks of schemathesis; `schemathesis.toml` says what it cannot know."""
    examples = settings().max_examples // _SHARE
    with serving(tmp_path) as stack:
        command = [
            str(Path(sys.executable).with_name("st")),
            f"--config-file={_HERE / 'schemathesis.toml'}",
            "run",
            f"{stack.ports.url}/openapi.json",
            "--checks=all",
            f"--max-examples={examples}",
            "--seed=1",
            "--generation-database=none",
            "--no-color",
        ]
        environment = {"SCHEMATHESIS_HOOKS": "tests.fuzz.ndjson_hooks", "PYTHONPATH": str(ROOT)}
        run = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        said = stack.said()
    assert run.returncode == 0, run.stdout + run.stderr
    assert "Errors:" not in run.stdout, run.stdout
    (cases,) = re.findall(r"^\s+(\d+) generated", run.stdout, re.MULTILINE)
    assert int(cases) > 300
    assert '"status": 500' not in said
    for fault in ("request_failed", "call_failed"):
        assert fault not in said
