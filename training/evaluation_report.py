"""The report of an evaluation: every figure of a model, as text and as JSON."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import Any

from training.calibration import Calibration, calibration
from training.data import Corpus
from training.evaluation import Findings, Quality, SetQuality, evaluate, mean_quality, set_quality
from training.passages import has_documents, in_documents
from training.recasing import CASES, in_case
from training.recognition import Recognizer

_HEADER = f"{'set':<16}{'type':<8}{'precision':>9}{'recall':>8}{'F1':>8}{'spans':>8}"


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """The quality of a model on several sets."""

    model: str  # the file
    sets: Mapping[str, SetQuality]
    mean: Quality  # of the sets' micro averages: every set counts the same
    calibration: Calibration  # over the entities of all sets
    # Micro-averaged F1 in percent, by case and set, of the texts in that case; empty: not measured.
    f1_in_cases: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    # Micro-averaged F1 in percent, by set, of whole documents; empty: not measured.
    f1_in_documents: Mapping[str, float] = field(default_factory=dict)


def evaluation_report(
    model: str,
    findings: Sequence[Findings],
    f1_in_cases: Mapping[str, Mapping[str, float]] | None = None,
    f1_in_documents: Mapping[str, float] | None = None,
) -> EvaluationReport:
    """Measures what a model found.

    Args:
        model: its file.
        findings: of each set.
        f1_in_cases: what `measure_in_cases` gave, if that is wanted.
        f1_in_documents: what `measure_in_documents` gave, if that is wanted.
    """
    sets = {found.corpus.source.name: set_quality(found) for found in findings}
    mean = mean_quality([measured.micro for measured in sets.values()])
    return EvaluationReport(
        model, sets, mean, calibration(findings), f1_in_cases or {}, f1_in_documents or {}
    )


def measure_in_cases(
    recognizer: Recognizer, corpora: Sequence[Corpus]
) -> dict[str, dict[str, float]]:
    """Measures a model on texts that are all in small letters, in capitals, and capitalized.

    Args:
        recognizer: the model.
        corpora: texts with their spans.

    Returns:
        Micro-averaged F1 in percent, by case and set.
    """
    return {
        case: {
            corpus.source.name: evaluate(recognizer, in_case(corpus, case)).f1 for corpus in corpora
        }
        for case in CASES
    }


def measure_in_documents(recognizer: Recognizer, corpora: Sequence[Corpus]) -> dict[str, float]:
    """Measures a model on whole documents, each sent as one text, a sentence a line.

    Args:
        recognizer: the model.
        corpora: sentences with their spans.

    Returns:
        Micro-averaged F1 in percent of each set that says what document a sentence is of.
    """
    return {
        corpus.source.name: evaluate(recognizer, in_documents(corpus)).f1
        for corpus in corpora
        if has_documents(corpus)
    }


def as_text(report: EvaluationReport) -> str:
    """The report as tables for a terminal."""
    return "\n".join(_lines(report))


def as_json(report: EvaluationReport) -> str:
    """The report as a JSON object; F1, precision and recall in percent, scores in [0, 1]."""
    return json.dumps(rounded(asdict(report)), indent=2, ensure_ascii=False) + "\n"


def rounded(value: Any) -> Any:
    """A JSON value whose numbers have four decimals: more than any of these sets can tell.

    Args:
        value: of dicts, lists, tuples, strings and numbers.
    """
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(part) for part in value]
    return round(value, 4) if isinstance(value, float) else value


def _lines(report: EvaluationReport) -> Iterator[str]:
    yield report.model
    yield _HEADER
    for name, measured in report.sets.items():
        for kind, of_kind in measured.types.items():
            yield _row(name, kind, of_kind)
        yield _row(name, "micro", measured.micro)
        yield _row(name, "macro", measured.macro)
    yield _row("mean of sets", "micro", report.mean)
    yield ""
    yield f"expected calibration error {report.calibration.expected_error:.3f}"
    yield f"{'score':<12}{'entities':>9}{'mean':>8}{'right':>8}"
    for each in report.calibration.bins:
        if each.entities:
            label = f"{each.lower:.1f} to {each.upper:.1f}"
            yield f"{label:<12}{each.entities:9}{each.mean_score:8.3f}{each.precision:8.3f}"
    yield ""
    yield f"{'min_score':<24}{'precision':>9}{'recall':>8}{'F1':>8}"
    for row in report.calibration.thresholds:
        q = row.quality
        yield f"{row.min_score:<24.2f}{q.precision:9.2f}{q.recall:8.2f}{q.f1:8.2f}"
    if report.f1_in_cases:
        yield from _case_lines(report)
    if report.f1_in_documents:
        yield ""
        yield f"{'F1 of texts':<16}{'sentences':>13}{'documents':>13}"
        for name, f1 in report.f1_in_documents.items():
            yield f"{name:<16}{report.sets[name].micro.f1:13.2f}{f1:13.2f}"


def _case_lines(report: EvaluationReport) -> Iterator[str]:
    by_case = {
        "as it is": {name: measured.micro.f1 for name, measured in report.sets.items()},
        **report.f1_in_cases,
    }
    yield ""
    yield f"{'F1 of texts':<16}" + "".join(f"{case:>13}" for case in by_case)
    for name in report.sets:
        yield f"{name:<16}" + "".join(f"{f1[name]:13.2f}" for f1 in by_case.values())
    means = "".join(f"{fmean(f1.values()):13.2f}" for f1 in by_case.values())
    yield f"{'mean of sets':<16}{means}"


def _row(name: str, kind: str, measured: Quality) -> str:
    figures = f"{measured.precision:9.2f}{measured.recall:8.2f}{measured.f1:8.2f}"
    return f"{name:<16}{kind:<8}{figures}{measured.support:8}"
