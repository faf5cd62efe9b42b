"""Matrices as integers."""

import numpy as np
import pytest
from numpy.typing import NDArray

from training.rounding import QuantizedTensor, quantize_columns, quantize_for, quantize_rows

_LIMIT = 63


def weight(columns: int = 30) -> NDArray[np.float32]:
    return np.random.default_rng(1).normal(size=(150, columns)).astype(np.float32)


def alike_inputs(seed: int) -> NDArray[np.float32]:
    """Rows whose channels are much alike, as a network's are; one is ten times as large."""
    made = np.random.default_rng(2).normal(size=(20, 150))
    inputs = np.random.default_rng(seed).normal(size=(4_000, 20)) @ made
    inputs[:, 7] *= 10
    return inputs.astype(np.float32)


def error(part: QuantizedTensor, inputs: NDArray[np.float32]) -> float:
    """Of the products, root mean square."""
    return float(np.std(inputs @ (part.integers * part.scales - weight())))


def test_columns_and_rows_are_restored_within_half_a_step() -> None:
    matrix = np.random.default_rng(1).normal(size=(40, 7)).astype(np.float32)
    by_column, by_row = quantize_columns(matrix, 63), quantize_rows(matrix, 127)
    for part in (by_column, by_row):
        error = np.abs(part.integers * part.scales - matrix)
        assert (error <= part.scales * 0.5001).all()
    assert np.abs(by_column.integers).max(axis=0).tolist() == [63] * 7
    assert np.abs(by_row.integers).max(axis=1).tolist() == [127] * 40


def test_a_column_of_zeros_is_no_division_by_zero() -> None:
    part = quantize_columns(np.zeros((3, 2), np.float32), 63)
    assert not part.integers.any()
    assert np.isfinite(part.scales).all()


def test_products_come_nearer_than_by_rounding_each_weight() -> None:
    """On inputs that were not seen as well."""
    seen, unseen = alike_inputs(3), alike_inputs(4)
    moments = (seen.T @ seen).astype(np.float64) / len(seen)
    plain = quantize_columns(weight(), _LIMIT)
    compensated = quantize_for(weight(), _LIMIT, moments)
    assert np.abs(compensated.integers).max() <= _LIMIT
    assert np.array_equal(plain.scales, compensated.scales)
    for inputs in (seen, unseen):
        assert error(compensated, inputs) < 0.5 * error(plain, inputs)


@pytest.mark.parametrize("sizes", [np.linspace(1, 2, 150), np.zeros(150)])
def test_inputs_that_have_nothing_in_common_leave_each_weight_to_itself(
    sizes: NDArray[np.float64],
) -> None:
    """Nor do inputs that were always zero stop it."""
    plain = quantize_columns(weight(), _LIMIT)
    compensated = quantize_for(weight(), _LIMIT, np.diag(sizes))
    assert np.array_equal(plain.integers, compensated.integers)


def test_fewer_texts_than_channels_are_enough() -> None:
    few = alike_inputs(3)[:5]
    moments = (few.T @ few).astype(np.float64) / len(few)
    assert error(quantize_for(weight(), _LIMIT, moments), few) < 0.5 * error(
        quantize_columns(weight(), _LIMIT), few
    )
