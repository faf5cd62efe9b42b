"""Who is served next when several share a server."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.fair_share import FairShare, Flow


def served(share: FairShare[Flow], cost: float) -> Flow:
    """Serves the next flow."""
    flow = share.first()
    assert flow is not None
    share.serve(cost)
    return flow


def test_flows_take_turns() -> None:
    share: FairShare[Flow] = FairShare()
    one, other = Flow(), Flow()
    share.join(one)
    share.join(other)
    assert [served(share, 1) for _ in range(4)] == [one, other, one, other]


def test_service_is_in_proportion_to_weight() -> None:
    share: FairShare[Flow] = FairShare()
    heavy, light = Flow(3), Flow(1)
    share.join(heavy)
    share.join(light)
    count = Counter(served(share, 5) for _ in range(400))
    assert count[heavy] == pytest.approx(300, abs=2)


def test_idleness_earns_no_credit() -> None:
    share: FairShare[Flow] = FairShare()
    busy, late = Flow(), Flow()
    share.join(busy)
    for _ in range(1_000):
        share.serve(1)
    share.join(late)
    assert Counter(served(share, 1) for _ in range(10))[busy] >= 4


def test_leaving_and_coming_back_wins_no_turn() -> None:
    share: FairShare[Flow] = FairShare()
    steady, restless = Flow(), Flow()
    share.join(steady)
    count: Counter[Flow] = Counter()
    for _ in range(110):
        share.join(restless)
        share.serve(10 if share.first() is restless else 1)
        flow = share.first()
        if flow is restless:
            share.leave()
        share.join(restless)
        count[served(share, 10 if share.first() is restless else 1)] += 1
    assert count[steady] >= 9 * count[restless]


def test_an_empty_share_serves_nobody() -> None:
    share: FairShare[Flow] = FairShare()
    assert share.first() is None
    flow = Flow()
    share.join(flow)
    share.join(flow)
    share.leave()
    assert share.first() is None
    assert not flow.waits


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0.1, 10)), min_size=10, max_size=200))
def test_no_flow_with_work_falls_behind_by_more_than_a_turn_of_each(
    steps: list[tuple[int, float]],
) -> None:
    """Flow 0 always has work; whatever the others do, it gets its share since the start."""
    share: FairShare[Flow] = FairShare()
    flows = [Flow() for _ in range(4)]
    share.join(flows[0])
    got = dict.fromkeys(flows, 0.0)
    for index, cost in steps:
        share.join(flows[index])
        got[served(share, cost)] += cost
        assert got[flows[0]] >= max(got.values()) - 2 * 10
