"""Forms of one tiny model, side by side."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from tokenizers import Tokenizer
from transformers import BertForTokenClassification

from inference.decoding import Decoder
from inference.runtime import Session
from inference.tokenization import Tokenizer as ServingTokenizer
from training.activations import training_rows
from training.batch_independence import Independence
from training.data import LABELS, Corpus, Example, SourceSet, Span
from training.evaluation import Quality
from training.export import export
from training.graph import products
from training.quantization_comparison import (
    Form,
    Measured,
    as_table,
    make_forms,
    measure,
    rank,
)
from training.recognition import Recognizer
from training.sensitivity import sensitivities
from training.speed import mixed_batches, tokens_per_s, uniform_batches
from training.static_quantization import CALIBRATION_TOKENS, calibration_rows


@pytest.fixture
def float32_file(network: BertForTokenClassification, tmp_path: Path) -> Path:
    path = tmp_path / "float32.onnx"
    export(network, path)
    return path


def corpora() -> list[Corpus]:
    texts = ["Angela Merkel met Tim Cook .", "Apple in Seoul", "the apple"] * 40
    examples = [Example(str(i), text, (Span(0, 5, "PER"),)) for i, text in enumerate(texts)]
    return [Corpus(SourceSet(name, "", ""), "", examples) for name in ("a", "b")]


def rows(count: int) -> list[NDArray[np.int64]]:
    rng = np.random.default_rng(5)
    return [rng.integers(5, 50, size=rng.integers(3, 40)) for _ in range(count)]


def test_every_form_of_a_model_is_made_and_measured(
    float32_file: Path, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    recognizer = Recognizer(
        ServingTokenizer(tokenizer, 60), Session.load(float32_file, 1, len(LABELS)), Decoder(LABELS)
    )
    given = training_rows(recognizer, corpora())
    ranked = rank(float32_file, given, 1)
    assert sorted(each.matrix for each in ranked) == sorted(
        name for _, name in products(onnx.load(float32_file))
    )
    forms = make_forms(float32_file, tmp_path, given, ranked, 1)
    measured = measure(recognizer, forms, corpora(), 1, measured_s=0.01)
    assert [each.form for each in measured] == forms
    assert all(each.quality.keys() == {"a", "b"} for each in measured)
    assert all(each.uniform_tokens_per_s > 0 < each.mixed_tokens_per_s for each in measured)
    changed = {each.form.file.stem: each.independence.changed for each in measured}
    assert changed["float32"] == changed["per-token"] == changed["spared"] == 0
    assert changed["even"] == 0
    kept = {node.op_type for node in onnx.load(forms[2].file).graph.node}
    assert "DequantizeLinear" in kept


def test_what_stays_float32_brings_the_logits_nearer(float32_file: Path) -> None:
    ranked = sensitivities(float32_file, rows(24), len(LABELS), 1)
    gains = [each.gain for each in ranked]
    assert gains == sorted(gains, reverse=True)
    assert 0.0 < gains[0] < 1.0


def test_the_table_has_a_line_for_each_form_with_speeds_as_ratios_to_the_first(
    tmp_path: Path,
) -> None:
    (tmp_path / "m.onnx").write_bytes(b"x" * 1_500_000)
    first, second = (
        Measured(
            Form(name, tmp_path / "m.onnx"),
            {"a": Quality(0, 0, 80.0, 1), "b": Quality(0, 0, 70.0, 1)},
            1_000.0 * factor,
            2_000.0 * factor,
            Independence(500, 3, 0.1),
        )
        for name, factor in (("float32", 1), ("int8", 2))
    )
    lines = as_table([first, second]).splitlines()
    assert lines[3] == (
        "| int8 | 80.00 | 70.00 | 75.00 | 2,000 (2.00) | 4,000 (2.00) | 1.5 | 3 of 500 |"
    )
    assert len({line.count("|") for line in lines}) == 1


def test_calibration_rows_are_full_and_hold_the_texts_in_order() -> None:
    made = calibration_rows([np.arange(100), np.arange(100, 200)], 2)
    assert [len(row) for row in made] == [CALIBRATION_TOKENS] * 2
    assert np.concatenate(made).tolist() == list(range(2 * CALIBRATION_TOKENS))


class CountingScorer:
    """Takes no time and counts its runs."""

    def __init__(self) -> None:
        self.runs = 0

    def run(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        self.runs += 1
        return np.zeros((*ids.shape, 1), np.float32)


def test_models_are_timed_equally_often_over_tokens_without_padding() -> None:
    batches = mixed_batches(rows(40))
    assert sum(batch.tokens for batch in batches) == sum(map(len, rows(40)))
    (uniform,) = uniform_batches(rows(3))
    assert (uniform.ids.shape, uniform.tokens) == ((32, 24), 768)
    scorers = [CountingScorer(), CountingScorer()]
    assert min(tokens_per_s(scorers, batches, 0.01)) > 0
    assert scorers[0].runs == scorers[1].runs > len(batches)
