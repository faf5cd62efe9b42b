"""The int8 file: near the float32 one, and the same in every batch."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper
from transformers import BertForTokenClassification

from inference.runtime import Session
from training.batch_independence import quantize_ordinarily
from training.data import LABELS
from training.export import export
from training.quantization import WEIGHT_LIMIT, quantize
from training.recognition import pad


@pytest.fixture
def float32_file(network: BertForTokenClassification, tmp_path: Path) -> Path:
    path = tmp_path / "float32.onnx"
    export(network, path)
    return path


@pytest.fixture(params=["scales of tokens", "fixed scales"])
def int8_file(float32_file: Path, request: pytest.FixtureRequest) -> Path:
    path = float32_file.with_name("int8.onnx")
    quantize(float32_file, path, training_rows() if request.param == "fixed scales" else ())
    return path


@pytest.fixture
def fixed_file(float32_file: Path) -> Path:
    path = float32_file.with_name("fixed.onnx")
    quantize(float32_file, path, training_rows())
    return path


def training_rows() -> list[NDArray[np.int64]]:
    """Others than those of `rows`."""
    rng = np.random.default_rng(6)
    return [rng.integers(5, 50, size=rng.integers(3, 40)) for _ in range(60)]


def rows(count: int) -> list[NDArray[np.int64]]:
    rng = np.random.default_rng(5)
    return [rng.integers(5, 50, size=rng.integers(3, 40)) for _ in range(count)]


def largest_batch_effect(path: Path) -> float:
    """How far logits move between a row alone and the same row among others."""
    session = Session.load(path, 1, len(LABELS))
    together = session.run(*pad(rows(24)))
    alone = [session.run(*pad([row]))[0] for row in rows(24)]
    return max(float(np.abs(t[: len(a)] - a).max()) for t, a in zip(together, alone, strict=True))


def test_a_row_has_the_same_logits_alone_and_in_a_batch(int8_file: Path) -> None:
    assert largest_batch_effect(int8_file) < 1e-4


def test_ordinary_dynamic_quantization_would_not_have(float32_file: Path) -> None:
    """The measurement sees the fault that this quantization is there to avoid."""
    ordinary = float32_file.with_name("ordinary.onnx")
    quantize_ordinarily(float32_file, ordinary)
    assert largest_batch_effect(ordinary) > 1e-2


def test_the_logits_stay_near_those_of_float32(float32_file: Path, int8_file: Path) -> None:
    ids, mask = pad(rows(24))
    exact, near = (
        Session.load(path, 1, len(LABELS)).run(ids, mask)[mask == 1]
        for path in (float32_file, int8_file)
    )
    assert np.abs(near - exact).max() > 0
    assert np.abs(near - exact).mean() < 0.05 * exact.std()


def test_every_product_with_a_constant_is_in_integers(int8_file: Path) -> None:
    """Query, key and value are one product; the classifier stays float32."""
    counts = Counter(node.op_type for node in onnx.load(int8_file).graph.node)
    assert counts["MatMul"] == 1
    assert counts["MatMulIntegerToFloat"] == 2 * 4
    assert counts["QuantizeLinear"] == 2 * 4


def test_fixed_scales_are_not_looked_for_at_run_time(fixed_file: Path) -> None:
    """Only what comes out of gelu has its peaks found; biases are part of the products."""
    model = onnx.load(fixed_file)
    counts = Counter(node.op_type for node in model.graph.node)
    assert counts["ReduceMax"] == 2
    assert counts["Abs"] == 0
    biases = [
        node.input[6]
        for node in model.graph.node
        if node.op_type == "MatMulIntegerToFloat" and len(node.input) > 6
    ]
    assert biases == [
        f"{part}_bias{i}" for i in range(2) for part in ("attention", "projection", "wide")
    ]


def test_what_exceeds_all_that_was_seen_is_cut_and_harms_no_neighbour(
    float32_file: Path, tmp_path: Path
) -> None:
    quantize(float32_file, tmp_path / "one.onnx", [np.array([2, 5, 3])])
    session = Session.load(tmp_path / "one.onnx", 1, len(LABELS))
    assert np.isfinite(session.run(*pad(rows(24)))).all()
    assert largest_batch_effect(tmp_path / "one.onnx") < 1e-4


def test_a_row_of_zeros_stays_zeros(float32_file: Path, tmp_path: Path) -> None:
    """Its scale is 0, by which it is divided: what comes of that must not leave the product."""
    quantize(float32_file, tmp_path / "int8.onnx")
    model = onnx.load(tmp_path / "int8.onnx")
    for tensor in model.graph.initializer:
        if tensor.name == "embedding_gain":
            tensor.CopyFrom(numpy_helper.from_array(0 * numpy_helper.to_array(tensor), tensor.name))
    onnx.save(model, tmp_path / "zeros.onnx")
    logits = Session.load(tmp_path / "zeros.onnx", 1, len(LABELS)).run(*pad(rows(3)))
    assert np.isfinite(logits).all()


def test_no_weight_can_overflow_sixteen_bits(int8_file: Path) -> None:
    weights = [
        numpy_helper.to_array(tensor)
        for tensor in onnx.load(int8_file).graph.initializer
        if tensor.name.endswith("_int8")
    ]
    assert len(weights) == 2 * 4
    assert max(int(np.abs(weight.astype(int)).max()) for weight in weights) == WEIGHT_LIMIT
    assert 2 * 255 * WEIGHT_LIMIT < 2**15


def test_large_tables_become_int8_and_small_ones_stay(float32_file: Path) -> None:
    path = float32_file.with_name("tables.onnx")
    quantize(float32_file, path, smallest_table_rows=20)
    names = {tensor.name for tensor in onnx.load(path).graph.initializer}
    assert "word_vectors_int8" in names
    assert not {"word_vectors", "case_vectors_int8"} & names
    ids, mask = pad(rows(8))
    exact, near = (Session.load(p, 1, len(LABELS)).run(ids, mask) for p in (float32_file, path))
    assert np.abs(near - exact)[mask == 1].mean() < 0.05 * exact.std()
