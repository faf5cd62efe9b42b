"""Who may join the windows that will be run together."""

import pytest

from inference.batch import Batch, Bounds
from inference.cost_model import Costs
from tests.inference.entries import entry

DEAR = Costs(token_ns=50, padding_ns=50, sequence_ns=0, run_ns=1_000)
FREE = Costs(token_ns=50, padding_ns=0, sequence_ns=0, run_ns=1_000)
WIDE = Bounds(256)


def batch_of(*tokens: int, bounds: Bounds = WIDE, costs: Costs = DEAR) -> Batch:
    """A batch of windows of these lengths."""
    batch = Batch(entry(tokens[0]), bounds, costs)
    for more in tokens[1:]:
        batch.join(entry(more))
    return batch


@pytest.mark.parametrize(
    ("first", "other", "waiting", "joins"),
    [
        (24, 24, 100, True),
        (24, 18, 100, True),  # 6 tokens of padding for 300: a third of a run is 333
        (24, 17, 100, False),
        (24, 17, 2, True),  # half a run
        (24, 4, 1, True),  # it would be alone
        (24, 3, 1, False),
        (24, 44, 1, True),  # a longer one pads those that are in
        (24, 45, 1, False),
    ],
)
def test_one_joins_where_padding_costs_less_than_its_share_of_a_run(
    first: int, other: int, waiting: int, joins: bool
) -> None:
    assert batch_of(first).accepts(other, waiting) is joins


def test_a_longer_window_pays_for_the_padding_of_all() -> None:
    assert batch_of(24).accepts(30, 100)
    assert not batch_of(24, 24).accepts(30, 100)


def test_where_padding_is_free_any_length_joins() -> None:
    assert batch_of(24, 24, 24, costs=FREE).accepts(100, 100)
    assert not batch_of(24, costs=DEAR).accepts(100, 100)


@pytest.mark.parametrize(
    ("costs", "rows"), [(DEAR, 4), (FREE, 4)], ids=["padding is dear", "padding is free"]
)
def test_tokens_are_bounded(costs: Costs, rows: int) -> None:
    bounds = Bounds(128)
    assert batch_of(*[32] * (rows - 1), bounds=bounds, costs=costs).accepts(32, 100)
    assert not batch_of(*[32] * rows, bounds=bounds, costs=costs).accepts(1, 100)


def test_free_padding_is_bounded_too() -> None:
    bounds = Bounds(128)
    assert batch_of(100, 1, 1, 1, bounds=bounds, costs=FREE).accepts(1, 100)
    assert not batch_of(100, 1, 1, 1, 1, bounds=bounds, costs=FREE).accepts(1, 100)


def test_a_bound_on_time_holds() -> None:
    bounds = Bounds(256, run_ns=3_400)
    assert batch_of(24, bounds=bounds).accepts(24, 100)
    assert not batch_of(24, bounds=bounds).accepts(25, 100)


def test_its_shape_and_time_are_told() -> None:
    batch = batch_of(10, 8)
    assert (batch.tokens, batch.padding, batch.run_ns) == (18, 2, 2_000)
