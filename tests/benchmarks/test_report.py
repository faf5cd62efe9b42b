"""What is written about a benchmark, and which targets it finds missed."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.ceiling import Alone, Ceiling
from benchmarks.interactive import Interactive
from benchmarks.many_models import ManyModels, ManyModelsLoad, Times
from benchmarks.measurement import Measurement
from benchmarks.plot import write_plot
from benchmarks.recorder import Load
from benchmarks.report import Report, Row
from benchmarks.scenario import CONNECTIONS, Kind, scenarios
from benchmarks.table import markdown
from benchmarks.targets import missed

_CEILING = Ceiling(2, 1, "8 rows", [990, 1_010], [2.0, 2.2])
_MACHINE = {"cpu": "CPU", "cores": 2, "commit": "abc", "date": "2026-11-24", "python": "3.11"} | {
    "onnxruntime": "1", "grpcio": "1"
}  # fmt: skip


def _load(rate_per_s: float, p50_ms: float = 3.4, p99_ms: float = 9.0) -> Load:
    return Load(100, 200, rate_per_s, p50_ms, p50_ms, p99_ms, 0, 0.01)


def _report(of_ceiling: float = 0.96) -> Report:
    measurement = Measurement(
        _load(of_ceiling * _CEILING.rate_per_s), 0.4, 0.1, 0.05, 4.2, 200, 70, 0.01
    )
    rows = [Row(one, measurement, _CEILING) for one in scenarios(set(Kind), CONNECTIONS)]
    interactive = Interactive("gRPC", _load(25, p99_ms=5), _load(25, p99_ms=15), _load(900))
    return Report(
        machine=_MACHINE,
        model="ner-en/6",
        seed=1,
        ceilings={"sentences": _CEILING},
        alone=Alone([2.4, 2.6], [1.9, 2.1]),
        rows=rows,
        interactive=[interactive],
        left_out=["gRPC stream, because of a test"],
        failed=["REST, 8 connections: 3 calls ended with 429"],
        many_models=ManyModels(
            ManyModelsLoad(200, 20, 300), Times(200, 4, 9), Times(100, 250, 777), 500, 499, 480
        ),
    )


def test_a_report_in_which_everything_holds_misses_nothing() -> None:
    assert missed(_report()) == []


def test_a_ratio_below_its_target_is_missed_where_the_target_counts() -> None:
    """At 32 and 128 callers for gRPC; 0.92 is enough for REST, and nothing is asked of others."""
    lines = missed(_report(of_ceiling=0.92))
    assert ["gRPC, 32" in lines[0], "gRPC, 128" in lines[1]] == [True, True]
    assert len(lines) == 2


def test_rest_has_a_target_too() -> None:
    assert len(missed(_report(of_ceiling=0.89))) == 4


def test_a_caller_alone_may_wait_one_and_a_half_milliseconds_more_than_in_process() -> None:
    """The better of the two in-process figures counts, not the one on one thread."""
    report = replace(_report(), alone=Alone([2.4], [1.8]))
    assert ["one caller" in line for line in missed(report)] == [True, True]


def test_bulk_calls_may_make_the_slowest_single_texts_three_times_as_slow() -> None:
    one = _report().interactive[0]
    crowded = replace(one, beside_bulk=replace(one.beside_bulk, p99_ms=15.1))
    (line,) = missed(replace(_report(), interactive=[crowded]))
    assert "interactive" in line


def test_many_models_must_stay_within_their_bound() -> None:
    many = _report().many_models
    assert many is not None
    (line,) = missed(replace(_report(), many_models=replace(many, held_mib=501)))
    assert "501 MiB" in line


def test_the_table_has_a_line_for_each_scenario_and_says_what_is_missed() -> None:
    report = _report()
    text = markdown(report, ["a target"])
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(lines) == 2 + len(report.rows) + 3
    assert "gRPC, because" not in text
    assert "- a target" in text
    assert "100 misses, p50 250 ms, p99 777 ms" in text
    assert "Left out: gRPC stream, because of a test." in text
    assert "open, 80% of the ceiling" in text
    assert "2.00" in text, "0.4 s for 200 sentences are 2.00 s for 1,000"


def test_the_json_holds_the_derived_figures() -> None:
    found = json.loads(json.dumps(_report().as_dict()))
    assert found["ceilings"]["sentences"]["rate_per_s"] == 1_000
    assert found["scenarios"][0]["of_ceiling"] == pytest.approx(0.96)
    assert found["scenarios"][0]["cpu_of_ceiling"] == pytest.approx(2.1 / 2.5)
    assert found["scenarios"][0]["load"]["p99_ms"] == 9
    assert found["interactive"][0]["p99_ratio"] == 3


def test_the_plot_is_a_picture(tmp_path: Path) -> None:
    write_plot(_report(), tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
