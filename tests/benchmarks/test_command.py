"""`python -m benchmarks` runs, on a few dozens of calls."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.interactive import measure_interactive
from benchmarks.measurement import ScenarioFailed, measure
from benchmarks.plan import Plan
from benchmarks.services import Services
from benchmarks.ways import Way

pytestmark = pytest.mark.timeout(120)
_ROOT = Path(__file__).parents[2]


def _plan(services: Services, **more: object) -> Plan:
    plan = {"way": Way.GRPC, "authority": services.grpc_authority, "corpus": "sentences"}
    sizes = {"corpus_texts": 64, "seed": 1, "connections": 2, "measure_s": 0.3, "warm_up_s": 0.1}
    return Plan(**(plan | sizes | more))  # type: ignore[arg-type]


def _benchmark(kinds: str, out: Path, returncode: int = 0) -> tuple[dict[str, Any], str]:
    """A small one that ends so: its report, and what it said of errors."""
    command = [sys.executable, "-m", "benchmarks", "--smoke", "--only", kinds]
    done = subprocess.run(
        [*command, "--connections", "2", "--out", str(out)],
        cwd=_ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == returncode, done.stderr
    (path,) = out.glob("*.json")
    return json.loads(path.read_text()), done.stderr


def test_a_small_benchmark_writes_json_table_and_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INFERENCE_WORKERS", "1")
    report, _ = _benchmark("grpc,bulk,models", tmp_path)
    assert [one["name"] for one in report["scenarios"]] == ["gRPC", "REST, 32 texts a call"]
    assert all(one["load"]["sentences"] > 0 for one in report["scenarios"])
    assert all(one["inference_cpu_s_per_1000"] > 0 for one in report["scenarios"])
    assert report["many_models"]["miss"]["calls"] > 0
    assert {"cpu", "cores", "commit", "date", "onnxruntime"} <= set(report["machine"])
    measured = {
        "GATEWAY_LOG_LEVEL": "warning",
        "INFERENCE_LOG_LEVEL": "warning",
        "INFERENCE_MAX_WAIT_MS": "0",
        "INFERENCE_QUEUE_TOKENS": "1048576",
        "INFERENCE_WORKERS": "1",
    }
    assert measured.items() <= report["machine"]["settings"].items()
    table = (tmp_path / "latest.md").read_text()
    assert "| gRPC " in table
    assert re.fullmatch(r"ner-en/\d+", report["model"])
    assert f", {report['model']}, " in table.splitlines()[2]
    assert (tmp_path / "latest.png").exists()


def test_what_fails_is_named_and_the_rest_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that takes single sentences, and no call of 32 texts."""
    monkeypatch.setenv("INFERENCE_MAX_TEXTS", "16")
    report, errors = _benchmark("grpc,bulk", tmp_path, returncode=2)
    assert "REST, 2 connections, 32 texts a call" in errors
    assert "calls ended with 422" in errors
    assert [one["name"] for one in report["scenarios"]] == ["gRPC"]
    (failed,) = report["failed"]
    assert f"Failed: {failed}." in (tmp_path / "latest.md").read_text()


def test_an_open_loop_is_measured_with_the_counters_of_the_services(services: Services) -> None:
    found = measure(_plan(services, rate_per_s=100.0), services)
    assert found.load.calls > 0
    assert found.mean_batch >= 1
    assert 0 <= found.padding_share < 1
    assert found.inference_peak_mib > 50


def test_single_texts_are_measured_beside_bulk_calls(services: Services) -> None:
    found = measure_interactive(_plan(services), services)
    assert found.bulk.sentences >= 32
    assert found.idle.calls > 0
    assert found.beside_bulk.calls > 0


def test_calls_that_fail_fail_the_scenario(services: Services) -> None:
    """A gRPC call to the gateway's port is answered by no gRPC server."""
    with pytest.raises(ScenarioFailed):
        measure(_plan(services, authority=services.rest_authority), services)
