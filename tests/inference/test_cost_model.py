"""What a model run costs, learned from the runs."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.cost_model import PRIOR, CostModel, Costs

RUNS = st.tuples(
    st.integers(1, 512), st.integers(1, 64), st.integers(0, 2_000), st.integers(0, 10**11)
)


def fitted(true: Costs, runs: int, noise: float = 0.05) -> CostModel:
    """A model that has seen runs of mixed shapes at these prices."""
    chance = random.Random(1)  # noqa: S311 - no secret
    model = CostModel()
    for _ in range(runs):
        lengths = [chance.randint(5, 60) for _ in range(chance.randint(1, 12))]
        tokens, rows = sum(lengths), len(lengths)
        padding = max(lengths) * rows - tokens
        took = true.of(tokens, rows, padding) * chance.lognormvariate(0, noise)
        model.observe(tokens, rows, padding, int(took))
    return model


@pytest.mark.parametrize(
    "true",
    [
        Costs(51_000, 51_000, 10_000, 1_270_000),
        Costs(51_000, 0, 10_000, 1_270_000),
        Costs(600_000, 600_000, 100_000, 9_000_000),
        Costs(2_000, 100, 0, 50_000),
    ],
    ids=["as the prior", "padding is free", "a slow model", "a fast one"],
)
def test_prices_are_learned(true: Costs) -> None:
    costs = fitted(true, 400).costs
    for shape in ((24, 1, 0), (200, 8, 0), (200, 8, 100)):
        assert costs.of(*shape) == pytest.approx(true.of(*shape), rel=0.1)
    assert costs.padding_price == pytest.approx(true.padding_ns / true.token_ns, abs=0.25)


def test_the_speed_of_another_machine_is_learned_within_a_few_runs() -> None:
    slow = Costs(*(10 * price for price in (51_000, 51_000, 10_000, 1_270_000)))
    assert fitted(slow, 5).costs.of(100, 4) == pytest.approx(slow.of(100, 4), rel=0.1)


def test_a_change_of_speed_is_followed() -> None:
    model = fitted(PRIOR, 400)
    for _ in range(1_000):
        model.observe(100, 4, 0, int(3 * PRIOR.of(100, 4)))
    assert model.costs.of(100, 4) == pytest.approx(3 * PRIOR.of(100, 4), rel=0.1)


def test_runs_that_are_all_alike_leave_the_proportions_of_the_prior() -> None:
    model = CostModel()
    for _ in range(1_000):
        model.observe(24, 1, 0, int(2 * PRIOR.of(24)))
    assert model.costs.of(24) == pytest.approx(2 * PRIOR.of(24), rel=0.01)
    assert model.costs.of(240, 10) == pytest.approx(2 * PRIOR.of(240, 10), rel=0.6)
    assert model.costs.padding_price == pytest.approx(1, abs=0.3)


def test_a_price_that_would_be_negative_is_none_and_the_others_make_up_for_it() -> None:
    """As chance would have it where padding is nearly free."""
    true = Costs(51_000, -25_000, 10_000, 1_270_000)
    costs = fitted(true, 400).costs
    assert costs.padding_ns == 0
    # Mean of these runs: 200 tokens, a hundred of padding.
    assert costs.of(200, 6, 100) == pytest.approx(true.of(200, 6, 100), rel=0.05)


def test_one_pause_of_the_machine_changes_little() -> None:
    model = fitted(PRIOR, 400)
    before = model.costs.of(100, 4)
    for took_ns in (10**10, *[int(before)] * 7):
        model.observe(100, 4, 0, took_ns)
    assert model.costs.of(100, 4) < 1.1 * before


@given(st.lists(RUNS, max_size=60))
def test_prices_are_never_negative_or_without_bound_and_no_work_is_free(
    runs: list[tuple[int, int, int, int]],
) -> None:
    model = CostModel()
    for tokens, rows, padding, took_ns in runs:
        model.observe(tokens, rows, padding, took_ns)
        costs = model.costs
        assert min(costs.token_ns, costs.sequence_ns, costs.run_ns) > 0
        assert 0 <= costs.padding_ns <= costs.token_ns
        assert costs.of(1, 1, 1) < 10**15
        assert 0 <= costs.padding_price <= 1


def test_predictions_count_as_certain_only_after_some_runs() -> None:
    assert not fitted(PRIOR, 19).settled
    assert fitted(PRIOR, 20).settled
