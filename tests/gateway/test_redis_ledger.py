"""The ledger that several gateways share, in a real Redis."""

import asyncio
import itertools
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from gateway import redis_ledger
from gateway.ledger import LedgerUnavailable
from gateway.redis_ledger import RedisLedger
from gateway.token_bucket import Charge, Rule, judge
from telemetry import logs
from tests.clock import Clock
from tests.gateway.polling import until
from tests.gateway.redis_server import PASSWORD, RedisServer

# So slow that nothing comes back while a test runs.
_SLOW = Rule("requests", 1e-4, 3.0)
_NUMBERS = itertools.count()
_FOR_GOOD = -1
# Long enough to be renewed in time on a machine that is busy.
_BRIEF_S = 1.5


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    """A Redis that all tests here use, each with callers of its own."""
    with tempfile.TemporaryDirectory() as folder, RedisServer(Path(folder)) as server:
        yield server


@pytest.fixture
async def ledger(redis: RedisServer) -> AsyncIterator[RedisLedger]:
    """The ledger of one gateway."""
    ledger = RedisLedger(redis.url, lease_s=60)
    yield ledger
    await ledger.aclose()


@pytest.fixture
async def other(redis: RedisServer) -> AsyncIterator[RedisLedger]:
    """The ledger of another gateway."""
    ledger = RedisLedger(redis.url, lease_s=60)
    yield ledger
    await ledger.aclose()


async def test_gateways_share_one_limit(ledger: RedisLedger, other: RedisLedger) -> None:
    charges = [Charge(_SLOW, 1.0)]
    verdicts = [await gateway.take("shared", charges) for gateway in (ledger, other) * 2]
    assert [verdict.passes for verdict in verdicts] == [True, True, True, False]
    assert verdicts[-1].wait_s == pytest.approx(1e4, rel=0.01)
    assert verdicts[2].standings[0].level == pytest.approx(0, abs=0.01)


async def test_time_gives_back_what_was_used(ledger: RedisLedger) -> None:
    quick = [Charge(Rule("requests", 200.0, 1.0), 1.0)]
    passes = 0
    for _ in range(2000):
        passes += (await ledger.take("quick", quick)).passes
        if passes == 5:
            return
    pytest.fail("nothing came back")


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(costs=st.lists(st.tuples(st.floats(0, 5), st.floats(0, 300)), min_size=1, max_size=10))
async def test_the_script_decides_as_the_function_does(
    ledger: RedisLedger, costs: list[tuple[float, float]]
) -> None:
    """At rates so low that the time between two calls changes nothing that is compared."""
    caller = f"same:{next(_NUMBERS)}"
    rules = (Rule("texts", 1e-9, 3.0), Rule("chars", 1e-9, 200.0))
    levels = [rule.capacity for rule in rules]
    for cost in costs:
        charges = [Charge(rule, c) for rule, c in zip(rules, cost, strict=True)]
        expected = judge(charges, levels)
        verdict = await ledger.take(caller, charges)
        margins = [
            level - min(charge.cost, charge.rule.capacity)
            for level, charge in zip(levels, charges, strict=True)
        ]
        if min(map(abs, margins)) > 1e-4:  # else the two may differ by rounding
            assert verdict.passes == expected.passes
        levels = [standing.level for standing in verdict.standings]
        if verdict.passes == expected.passes:
            assert levels == pytest.approx([s.level for s in expected.standings], abs=1e-5)


async def test_a_cost_over_the_capacity_passes_at_a_full_bucket_and_is_paid_off(
    ledger: RedisLedger,
) -> None:
    verdict = await ledger.take("large", [Charge(_SLOW, 500.0)])
    assert verdict.passes
    assert verdict.standings[0].level == pytest.approx(-497)
    assert not (await ledger.take("large", [Charge(_SLOW, 0.1)])).passes


async def test_running_requests_are_counted_together(
    ledger: RedisLedger, other: RedisLedger
) -> None:
    assert await ledger.enter("runs", "1", 2)
    assert await other.enter("runs", "2", 2)
    assert not await ledger.enter("runs", "3", 2)
    await other.leave("runs", "2")
    assert await ledger.enter("runs", "3", 2)


async def test_requests_of_a_gateway_that_died_are_given_up_after_their_lease(
    redis: RedisServer, ledger: RedisLedger
) -> None:
    dead = RedisLedger(redis.url, lease_s=0.05)
    assert await dead.enter("leased", "1", 1)
    await dead.aclose()
    for _ in range(1000):
        if await ledger.enter("leased", "2", 1):
            return
    pytest.fail("the slot was never given back")


async def test_a_request_that_outlives_its_lease_is_counted_until_it_ends(
    redis: RedisServer, ledger: RedisLedger
) -> None:
    """As a stream does; and no longer, though another request of its gateway still runs."""
    brief = RedisLedger(redis.url, lease_s=_BRIEF_S)
    assert await brief.enter("streams", "1", 2)
    assert await brief.enter("streams", "2", 2)
    await _look_on(lambda: ledger.enter("streams", "3", 2))
    await brief.leave("streams", "1")
    assert await ledger.enter("streams", "3", 2)
    await _look_on(lambda: ledger.enter("streams", "4", 2))
    await ledger.leave("streams", "3")
    assert await ledger.enter("streams", "4", 2)
    await brief.aclose()


async def test_leases_are_renewed_by_one_task_that_ends_with_the_last_request(
    redis: RedisServer,
) -> None:
    brief = RedisLedger(redis.url, lease_s=_BRIEF_S)
    others = asyncio.all_tasks()
    for number in range(10):
        await brief.enter(f"tasks {number}", "1", 1)
    (renewal,) = asyncio.all_tasks() - others
    for number in range(10):
        await brief.leave(f"tasks {number}", "1")
    async with asyncio.timeout(10 * _BRIEF_S):
        await asyncio.wait([renewal])
    await brief.enter("tasks", "1", 1)
    await brief.aclose()
    assert asyncio.all_tasks() == others


async def _look_on(enter: Callable[[], Awaitable[bool]]) -> None:
    """Find for two leases that there is no room."""
    end_s = time.monotonic() + 2 * _BRIEF_S
    while time.monotonic() < end_s:
        assert not await enter()
        await asyncio.sleep(_BRIEF_S / 20)


async def test_nothing_in_redis_names_a_caller_or_stays_for_good(
    redis: RedisServer, ledger: RedisLedger
) -> None:
    await ledger.take("token:jane@example.org", [Charge(_SLOW, 1.0)])
    await ledger.enter("token:jane@example.org", "1", 1)
    async with Redis.from_url(redis.url, decode_responses=True) as client:
        keys = [key async for key in client.scan_iter()]
        assert keys
        assert not any("jane" in key for key in keys)
        assert all([await client.ttl(key) != _FOR_GOOD for key in keys])


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A Redis that a test may break."""
    with tempfile.TemporaryDirectory() as folder, RedisServer(Path(folder)) as server:
        yield server


@pytest.fixture
async def shaken(own_redis: RedisServer, clock: Clock) -> AsyncIterator[RedisLedger]:
    """The ledger of a gateway whose Redis a test may break; it is connected, its scripts known."""
    ledger = RedisLedger(own_redis.url, lease_s=60, clock=clock)
    await ledger.take("a", [Charge(_SLOW, 1.0)])
    await ledger.enter("a", "first", 1)
    await ledger.leave("a", "first")
    yield ledger
    await ledger.aclose()


async def test_a_request_that_redis_counts_too_late_is_taken_back(
    own_redis: RedisServer, shaken: RedisLedger, clock: Clock
) -> None:
    """Its caller was told 503: nobody would say that it has ended."""
    own_redis.freeze()
    with pytest.raises(LedgerUnavailable):
        await shaken.enter("a", "1", 1)
    own_redis.thaw()
    await until(lambda: _counts_running(own_redis))
    clock.now_s = 5.0
    assert await shaken.enter("a", "2", 1)


async def test_a_request_that_is_cancelled_while_it_is_counted_is_taken_back(
    own_redis: RedisServer, shaken: RedisLedger
) -> None:
    own_redis.freeze()
    entering = asyncio.create_task(shaken.enter("a", "1", 1))
    await asyncio.sleep(0.05)  # or else it is cancelled before it has asked, which is no harm
    entering.cancel()
    await asyncio.wait([entering])
    own_redis.thaw()
    assert await shaken.enter("a", "2", 1)


async def test_while_redis_is_away_nobody_waits_to_leave_and_slots_come_back_with_it(
    own_redis: RedisServer, shaken: RedisLedger, clock: Clock
) -> None:
    for number in range(3):
        assert await shaken.enter("a", f"{number}", 3)
    own_redis.freeze()
    await shaken.leave("a", "0")
    for request_id in ("1", "2", "never counted"):
        assert await _ends_at_once(shaken.leave("a", request_id))
    own_redis.thaw()
    clock.now_s = 5.0
    for number in range(3):
        assert await shaken.enter("a", f"again {number}", 3)


async def test_one_request_asks_whether_redis_is_back_and_the_others_do_not_wait_for_it(
    own_redis: RedisServer, shaken: RedisLedger, clock: Clock
) -> None:
    charges = [Charge(_SLOW, 1.0)]
    own_redis.freeze()
    with pytest.raises(LedgerUnavailable):
        await shaken.take("a", charges)
    clock.now_s = 5.0
    asks = asyncio.create_task(shaken.take("a", charges))
    assert not await _ends_at_once(asks)
    assert await _ends_at_once(shaken.take("a", charges))
    own_redis.thaw()
    await asyncio.wait([asks])


async def _counts_running(redis: RedisServer) -> bool:
    async with Redis.from_url(redis.url) as client:
        return bool([key async for key in client.scan_iter("*:running")])


async def _ends_at_once(call: Awaitable[object]) -> bool:
    """Whether it ends without waiting for anything; a call that does not is left to its owner."""
    task = asyncio.ensure_future(call)
    await asyncio.sleep(0)
    if task.done():
        task.exception()
    return task.done()


@pytest.mark.parametrize("outage", ["kill", "freeze"])
async def test_a_redis_that_does_not_answer_is_said_once_and_asked_again(
    own_redis: RedisServer,
    outage: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Between two attempts nobody waits for it; the password stays out of the log."""
    logs.configure("info")
    # A logger keeps the level of its first use, which may have been in another test.
    monkeypatch.setattr(redis_ledger, "_LOG", logs.get_logger("gateway.limits"))
    now_s = 0.0
    ledger = RedisLedger(own_redis.url, lease_s=1, clock=lambda: now_s)
    charges = [Charge(_SLOW, 1.0)]
    assert (await ledger.take("a", charges)).passes
    getattr(own_redis, outage)()
    for _ in range(5):
        with pytest.raises(LedgerUnavailable):
            await ledger.take("a", charges)
    await ledger.leave("a", "1")
    if outage == "kill":
        own_redis.start()
    else:
        own_redis.thaw()
    with pytest.raises(LedgerUnavailable):
        await ledger.take("a", charges)
    now_s = 5.0
    assert (await ledger.take("a", charges)).passes
    await ledger.aclose()
    said = "".join(capfd.readouterr())
    assert said.count("limits_store_away") == 1
    assert said.count("limits_store_back") == 1
    assert PASSWORD not in said
