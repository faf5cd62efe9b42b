"""The simulator: its machine loses nothing, and what the queue promises holds in its time."""

import random

import pytest

from benchmarks.scheduling.policies import Fifo, LengthClasses, Policy, Served
from benchmarks.scheduling.run_costs import MEASURED
from benchmarks.scheduling.simulation import Outcome, ceiling_texts_per_s, simulate
from benchmarks.scheduling.workloads import WORKLOADS, Callers, lengths
from inference.cost_model import Costs

PADDED = MEASURED["padded"]


def outcome(policy: Policy, workload: str, costs: Costs = PADDED) -> Outcome:
    """What a policy does in four simulated seconds."""
    return simulate(policy, WORKLOADS[workload], costs, seconds=4, seed=1)


@pytest.mark.parametrize(
    "policy",
    [Fifo(1), Fifo(32), Fifo(32, 10**6, 5_000_000), LengthClasses(), Served()],
    ids=["alone", "full", "timer", "length classes", "served"],
)
def test_below_its_capacity_every_policy_serves_what_comes(policy: Policy) -> None:
    assert outcome(policy, "clicks, idle").of_ceiling == pytest.approx(0.1, rel=0.15)


def test_the_same_seed_gives_the_same_outcome() -> None:
    assert outcome(Served(), "closed 8") == outcome(Served(), "closed 8")


def test_nobody_does_better_than_the_ceiling_and_the_queue_comes_near() -> None:
    assert 0.85 < outcome(Served(), "closed 128").of_ceiling < 1
    assert 0.9 < outcome(Served(), "closed 128", MEASURED["unpadded"]).of_ceiling < 1


@pytest.mark.parametrize("workload", ["closed 32", "closed 128", "open 120 %"])
def test_the_queue_serves_more_than_the_policies_before_it(workload: str) -> None:
    ours = outcome(Served(), workload).of_ceiling
    assert all(ours > outcome(p, workload).of_ceiling for p in (Fifo(1), Fifo(32), LengthClasses()))


@pytest.mark.parametrize("costs", MEASURED.values(), ids=MEASURED)
def test_clicks_beside_bulk_wait_at_most_three_times_as_long_as_without(costs: Costs) -> None:
    idle = outcome(Served(), "clicks, idle", costs)
    beside = outcome(Served(), "clicks beside bulk", costs)
    assert beside.p99_ms <= 3 * idle.p99_ms
    assert beside.bulk_share > 0.7, "bulk takes what the clicks leave"


def test_bulk_is_served_beside_more_clicks_than_there_is_time_for() -> None:
    beside = outcome(Served(), "clicks beside 120 % clicks and bulk")
    assert beside.bulk_share == pytest.approx(0.1, abs=0.04)


def test_a_quiet_model_does_not_feel_a_busy_one() -> None:
    shared = outcome(LengthClasses(), "model beside a busy one").p50_ms
    assert outcome(Served(), "model beside a busy one").p50_ms < shared / 5


def test_sentences_have_the_lengths_of_newspaper_text() -> None:
    tokens = sorted(lengths(random.Random(1), Callers("", texts=10_000)))  # noqa: S311
    assert sum(tokens) / 10_000 == pytest.approx(21, abs=1)
    assert tokens[0] == 5
    assert tokens[9_500] == pytest.approx(42, abs=5)


def test_the_ceiling_is_what_full_batches_allow() -> None:
    costs = Costs(token_ns=1e6, padding_ns=1e6, sequence_ns=0, run_ns=0)
    assert ceiling_texts_per_s(costs) == pytest.approx(2_000 / 20.6, rel=0.02)
