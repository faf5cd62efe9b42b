"""The comparison of quantizations: F1, speed, size and independence of each form of one model."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from inference.runtime import Session
from training.batch_independence import (
    Independence,
    measure_independence,
    quantize_ordinarily,
    sample_texts,
)
from training.data import LABELS, Corpus
from training.evaluation import Quality, evaluate, mean_quality
from training.quantization import quantize, quantized
from training.quiet_quantizer import quiet_quantizer
from training.recognition import Recognizer
from training.sensitivity import Sensitivity, sensitivities
from training.speed import (
    MEASURED_S,
    fastest_tokens_per_s,
    mixed_batches,
    uniform_batches,
)
from training.static_quantization import Method, calibration_rows, quantize_statically

_log = logging.getLogger(__name__)

_CALIBRATION_ROWS = 128
_SENSITIVITY_TEXTS = 64
_MATRICES_KEPT = 4
_INDEPENDENCE_TEXTS = 500
_INDEPENDENCE_BATCH = 32


@dataclass(frozen=True, slots=True)
class Form:
    """One way to quantize."""

    name: str
    file: Path


@dataclass(frozen=True, slots=True)
class Measured:
    """What a form is worth."""

    form: Form
    quality: Mapping[str, Quality]  # by set
    uniform_tokens_per_s: float  # one thread, sentences of equal length
    mixed_tokens_per_s: float  # one thread, sentences of the sets
    independence: Independence


def rank(float32: Path, rows: Sequence[NDArray[np.int64]], threads: int) -> list[Sensitivity]:
    """The matrices of a model, the most sensitive to quantization first.

    Args:
        float32: a file of `training.export`.
        rows: of `training.activations.training_rows`.
        threads: cores that a run uses.
    """
    return sensitivities(float32, rows[:_SENSITIVITY_TEXTS], len(LABELS), threads)


def make_forms(
    float32: Path,
    folder: Path,
    rows: Sequence[NDArray[np.int64]],
    ranked: Sequence[Sensitivity],
    threads: int,
) -> list[Form]:
    """Writes every form of a model.

    Args:
        float32: a file of `training.export`.
        folder: gets the files.
        rows: of `training.activations.training_rows`; they fix scales.
        ranked: of `rank`; the first stay float32 in one form.
        threads: cores that a run uses.

    Returns:
        The forms, float32 first.
    """
    kept = [each.matrix for each in ranked[:_MATRICES_KEPT]]
    calibration = calibration_rows(rows, _CALIBRATION_ROWS)
    forms = [
        Form("float32", float32),
        Form("dynamic, a scale a tensor", folder / "ordinary.onnx"),
        Form("static, from min and max", folder / "min-max.onnx"),
        Form("static, from percentiles", folder / "percentile.onnx"),
        Form("dynamic, a scale a token", folder / "per-token.onnx"),
        Form(f"the same, {len(kept)} matrices float32", folder / "spared.onnx"),
        Form("fixed scales, channels made even", folder / "even.onnx"),
    ]
    ordinary, min_max, percentile, per_token, spared, even = (form.file for form in forms[1:])
    with quiet_quantizer():
        quantize_ordinarily(float32, ordinary)
        quantize_statically(float32, min_max, calibration, Method.MIN_MAX)
        quantize_statically(float32, percentile, calibration, Method.PERCENTILE)
    quantize(float32, per_token)
    onnx.save(quantized(onnx.load(float32), {}, kept_float=kept), spared)
    quantize(float32, even, rows, threads)
    return forms


def measure(
    recognizer: Recognizer,
    forms: Sequence[Form],
    corpora: Sequence[Corpus],
    threads: int,
    measured_s: float = MEASURED_S,
) -> list[Measured]:
    """Measures forms side by side.

    Args:
        recognizer: of the same model as the forms.
        forms: at least one.
        corpora: dev splits, at least two.
        threads: cores for F1 and independence; speed is always measured on one.
        measured_s: how long each form is run to find each of its two speeds.
    """
    texts = [example.text for corpus in corpora for example in corpus.examples]
    rows = [w.ids for text in texts for w in recognizer.tokenizer.tokenize(text).windows]
    files = [form.file for form in forms]
    _log.info("speed of %d forms", len(forms))
    uniform = fastest_tokens_per_s(files, uniform_batches(rows), measured_s)
    mixed = fastest_tokens_per_s(files, mixed_batches(rows), measured_s)
    sample = sample_texts(corpora, _INDEPENDENCE_TEXTS)
    result: list[Measured] = []
    for form, of_uniform, of_mixed in zip(forms, uniform, mixed, strict=True):
        _log.info("F1 and independence, form %d of %d: %s", len(result) + 1, len(forms), form.name)
        session = Session.load(form.file, threads, len(LABELS))
        made = replace(recognizer, scorer=session)
        quality = {corpus.source.name: evaluate(made, corpus) for corpus in corpora}
        independence = measure_independence(made, sample, _INDEPENDENCE_BATCH)
        result.append(Measured(form, quality, of_uniform, of_mixed, independence))
    return result


def as_table(measured: Sequence[Measured]) -> str:
    """The figures as a Markdown table; speeds are also given as ratios to the first form.

    Args:
        measured: of one run, because speeds of two runs cannot be compared.
    """
    return "\n".join(_lines(measured))


def _lines(measured: Sequence[Measured]) -> Iterator[str]:
    sets = list(measured[0].quality)
    header = ["form", *sets, "mean F1", "tokens/s, equal lengths", "tokens/s, mixed"]
    yield _row([*header, "MB", "texts that change with the batch"])
    yield _row(["---"] * (len(header) + 2))
    first = measured[0]
    for each in measured:
        uniform, mixed = each.uniform_tokens_per_s, each.mixed_tokens_per_s
        yield _row(
            [
                each.form.name,
                *(f"{each.quality[name].f1:.2f}" for name in sets),
                f"{mean_quality(each.quality.values()).f1:.2f}",
                f"{uniform:,.0f} ({uniform / first.uniform_tokens_per_s:.2f})",
                f"{mixed:,.0f} ({mixed / first.mixed_tokens_per_s:.2f})",
                f"{each.form.file.stat().st_size / 1e6:.1f}",
                f"{each.independence.changed} of {each.independence.texts}",
            ]
        )


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
