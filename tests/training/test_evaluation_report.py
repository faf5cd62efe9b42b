"""The figures of an evaluation, written down."""

import json
from collections.abc import Mapping

from inference.core import Entity
from training.data import Corpus, Example, SourceSet, Span
from training.evaluation import Findings
from training.evaluation_report import EvaluationReport, as_json, as_text, evaluation_report

MEASURED_IF_ASKED = ("f1_in_cases", "f1_in_documents")


def report(
    f1_in_cases: Mapping[str, Mapping[str, float]] | None = None,
    f1_in_documents: Mapping[str, float] | None = None,
) -> EvaluationReport:
    """In one set two of three people are found; in the other nothing of one place."""
    people = Example("1", "x" * 9, tuple(Span(i, i + 1, "PER") for i in (0, 3, 6)))
    found = [Entity("x", "PER", i, i + 1, 0.75) for i in (0, 3)]
    place = Example("1", "x" * 9, (Span(0, 1, "LOC"),))
    return evaluation_report(
        "model.onnx",
        [
            Findings(Corpus(SourceSet("a", "", ""), "", [people]), [found]),
            Findings(
                Corpus(SourceSet("b", "", "", frozenset({"MISC"})), "", [place, place]), [[], []]
            ),
        ],
        f1_in_cases,
        f1_in_documents,
    )


def test_the_text_has_a_line_for_each_type_and_each_mean() -> None:
    lines = [line.split() for line in as_text(report()).splitlines()]
    assert ["a", "PER", "100.00", "66.67", "80.00", "3"] in lines
    assert ["a", "MISC", "0.00", "0.00", "0.00", "0"] in lines
    assert ["b", "micro", "0.00", "0.00", "0.00", "2"] in lines
    assert ["mean", "of", "sets", "micro", "50.00", "33.33", "40.00", "5"] in lines
    assert not any(line[:2] == ["b", "MISC"] for line in lines)


def test_the_text_has_the_scores_and_the_thresholds() -> None:
    text = as_text(report())
    assert "expected calibration error 0.250" in text
    lines = [line.split() for line in text.splitlines()]
    assert ["0.7", "to", "0.8", "2", "0.750", "1.000"] in lines
    assert ["0.70", "100.00", "40.00", "57.14"] in lines
    assert ["0.80", "0.00", "0.00", "0.00"] in lines


def test_the_json_holds_every_figure() -> None:
    content = json.loads(as_json(report()))
    assert content.keys() == {"model", "sets", "mean", "calibration", *MEASURED_IF_ASKED}
    assert content["sets"]["a"]["types"]["PER"] == {
        "precision": 100.0,
        "recall": 66.6667,
        "f1": 80.0,
        "support": 3,
    }
    assert content["sets"]["b"]["types"].keys() == {"PER", "ORG", "LOC"}
    assert content["mean"]["f1"] == 40.0
    assert content["calibration"]["expected_error"] == 0.25
    assert [row["min_score"] for row in content["calibration"]["thresholds"]][:2] == [0.0, 0.5]


def test_the_text_has_a_column_for_each_case_if_it_was_measured() -> None:
    measured = report({"lower": {"a": 50.0, "b": 10.0}, "upper": {"a": 60.0, "b": 0.0}})
    lines = [line.split() for line in as_text(measured).splitlines()]
    assert ["F1", "of", "texts", "as", "it", "is", "lower", "upper"] in lines
    assert ["a", "80.00", "50.00", "60.00"] in lines
    assert ["mean", "of", "sets", "40.00", "30.00", "30.00"] in lines
    assert "F1 of texts" not in as_text(report())


def test_the_text_has_a_line_for_each_set_that_has_documents_if_they_were_measured() -> None:
    lines = [line.split() for line in as_text(report(f1_in_documents={"a": 90.0})).splitlines()]
    assert lines[-2:] == [["F1", "of", "texts", "sentences", "documents"], ["a", "80.00", "90.00"]]
    assert "F1 of texts" not in as_text(report())
