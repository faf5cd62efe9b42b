"""The decision of a rate limit, for any sequence of requests."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.token_bucket import Bucket, Charge, Rule, Verdict, take

_RATES = st.floats(0.01, 1000)
_CAPACITIES = st.floats(1, 1000)
_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class _Request:
    """A request, so many seconds after the one before."""

    pause_s: float
    cost: float


_REQUESTS = st.lists(
    st.builds(_Request, pause_s=st.floats(0, 20), cost=st.floats(0, 2000)), max_size=30
)


def _run(rule: Rule, requests: list[_Request]) -> list[tuple[float, float, Verdict]]:
    """Instant, cost and verdict of each request."""
    buckets: dict[str, Bucket] = {}
    now_s, outcomes = 100.0, []
    for request in requests:
        now_s += request.pause_s
        verdict, after = take(buckets, [Charge(rule, request.cost)], now_s)
        buckets |= after
        outcomes.append((now_s, request.cost, verdict))
    return outcomes


@given(rate=_RATES, capacity=_CAPACITIES, requests=_REQUESTS)
def test_what_passes_in_any_time_is_bounded(
    rate: float, capacity: float, requests: list[_Request]
) -> None:
    rule = Rule("requests", rate, capacity)
    passed = [(at, cost) for at, cost, verdict in _run(rule, requests) if verdict.passes]
    for first in range(len(passed)):
        for last in range(first, len(passed)):
            seconds = passed[last][0] - passed[first][0]
            cost = sum(cost for _, cost in passed[first : last + 1])
            excess = max(0.0, passed[last][1] - capacity)
            allowed = capacity + rate * seconds + excess
            assert cost <= allowed * (1 + _TOLERANCE) + _TOLERANCE


@given(rate=_RATES, capacity=_CAPACITIES, requests=_REQUESTS, cost=st.floats(0, 2000))
def test_after_the_wait_that_was_told_the_request_passes_and_not_much_earlier(
    rate: float, capacity: float, requests: list[_Request], cost: float
) -> None:
    rule = Rule("requests", rate, capacity)
    buckets: dict[str, Bucket] = {}
    now_s = 100.0
    for request in requests:
        now_s += request.pause_s
        buckets |= take(buckets, [Charge(rule, request.cost)], now_s)[1]
    verdict, after = take(buckets, [Charge(rule, cost)], now_s)
    if verdict.passes:
        return
    assert verdict.wait_s > 0
    patient = now_s + verdict.wait_s * (1 + _TOLERANCE) + _TOLERANCE / rate
    assert take(after, [Charge(rule, cost)], patient)[0].passes
    hasty = now_s + verdict.wait_s * (1 - 1e-3)
    if verdict.wait_s * 1e-3 * rate > _TOLERANCE:
        assert not take(after, [Charge(rule, cost)], hasty)[0].passes


@given(requests=_REQUESTS)
def test_a_request_that_one_rule_refuses_costs_nothing_by_the_others(
    requests: list[_Request],
) -> None:
    generous, mean = Rule("texts", 1.0, 1e9), Rule("chars", 1e-6, 1.0)
    buckets: dict[str, Bucket] = {}
    now_s, spent = 0.0, 0.0
    for request in requests:
        now_s += request.pause_s
        charges = [Charge(generous, request.cost), Charge(mean, 1.0)]
        verdict, after = take(buckets, charges, now_s)
        buckets |= after
        spent += request.cost if verdict.passes else 0.0
    if buckets:
        assert buckets["texts"].level >= 1e9 - spent - 1e-3


def test_a_cost_over_the_capacity_passes_at_a_full_bucket_and_is_paid_off() -> None:
    rule = Rule("chars", 10.0, 100.0)
    verdict, buckets = take({}, [Charge(rule, 500.0)], 0.0)
    assert verdict.passes
    assert verdict.standings[0].level == -400
    verdict, _ = take(buckets, [Charge(rule, 1.0)], 0.0)
    assert not verdict.passes
    assert verdict.wait_s == pytest.approx(40.1)


def test_a_clock_that_goes_back_gives_nothing_away() -> None:
    rule = Rule("requests", 1.0, 1.0)
    _, buckets = take({}, [Charge(rule, 1.0)], 10.0)
    verdict, buckets = take(buckets, [Charge(rule, 1.0)], 5.0)
    assert not verdict.passes
    assert not take(buckets, [Charge(rule, 1.0)], 10.5)[0].passes
    assert take(buckets, [Charge(rule, 1.0)], 11.0)[0].passes
