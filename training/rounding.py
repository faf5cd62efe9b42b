"""Rounding: matrices of float32 as integers with a scale for each column or row."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# A column of zeros must not be divided by zero; no true weight is this small.
_SMALLEST_PEAK = 1e-8
# Of the mean second moment, added to each: few texts say little of some directions.
_DAMPING = 0.01
_LEAST_DAMPING = 1e-12  # where all that was seen is zero
# Rows between which the later ones are corrected in one product.
_BLOCK = 64


@dataclass(frozen=True, slots=True, eq=False)
class QuantizedTensor:
    """Integers with a scale for each row or column."""

    integers: NDArray[np.int8]  # int8 [rows, columns]
    scales: NDArray[np.float32]  # float32 [columns], or [rows, 1]


def quantize_columns(weight: NDArray[np.generic], limit: int) -> QuantizedTensor:
    """Integers in [-limit, limit], with one scale for each column.

    Args:
        weight: float32 [rows, columns].
        limit: largest integer, at most 127.
    """
    values = np.asarray(weight, dtype=np.float32)
    scales = _column_scales(values, limit)
    return QuantizedTensor(np.rint(values / scales).astype(np.int8), scales)


def quantize_rows(table: NDArray[np.generic], limit: int) -> QuantizedTensor:
    """Integers in [-limit, limit], with one scale for each row.

    Args:
        table: float32 [rows, columns].
        limit: largest integer, at most 127.
    """
    turned = quantize_columns(table.T, limit)
    return QuantizedTensor(np.ascontiguousarray(turned.integers.T), turned.scales[:, None])


def quantize_for(
    weight: NDArray[np.generic], limit: int, moments: NDArray[np.float64]
) -> QuantizedTensor:
    """As `quantize_columns`, so that the products are near, not each weight.

    One row is rounded after the other, those first that are multiplied with most, and what rounding
    took from a row is given to the rows that come later, as far as they are multiplied alike.
    Source: Frantar, Ashkboos, Hoefler and Alistarh, GPTQ (2023).

    Args:
        weight: float32 [rows, columns].
        limit: largest integer, at most 127.
        moments: float64 [rows, rows], the mean of x x^T over what is multiplied, x [rows].
    """
    scales = _column_scales(np.asarray(weight, dtype=np.float32), limit)
    order = np.argsort(-np.diag(moments), kind="stable")
    damping = max(_DAMPING * float(np.diag(moments).mean()), _LEAST_DAMPING)
    damped = moments[np.ix_(order, order)] + damping * np.eye(len(order))
    # Row i of the factor says how the rows after i make good for a unit that i lacks.
    factor = np.linalg.cholesky(np.linalg.inv(damped)).T
    rest = np.asarray(weight, dtype=np.float64)[order] / scales
    integers = np.empty(rest.shape, dtype=np.int8)
    for start in range(0, len(rest), _BLOCK):
        stop = min(start + _BLOCK, len(rest))
        lacking = np.empty((stop - start, rest.shape[1]))
        for i in range(start, stop):
            rounded = np.clip(np.rint(rest[i]), -limit, limit)
            integers[order[i]] = rounded
            lacking[i - start] = (rest[i] - rounded) / factor[i, i]
            rest[i + 1 : stop] -= np.outer(factor[i, i + 1 : stop], lacking[i - start])
        rest[stop:] -= factor[start:stop, stop:].T @ lacking
    return QuantizedTensor(integers, scales)


def _column_scales(values: NDArray[np.float32], limit: int) -> NDArray[np.float32]:
    peaks = np.maximum(np.abs(values).max(axis=0), _SMALLEST_PEAK)
    scales: NDArray[np.float32] = (peaks / limit).astype(np.float32)
    return scales
