"""Processes that die, stand still or are restarted, while callers ask."""

import asyncio
import random
import signal

import pytest
import pytest_asyncio

from tests.chaos.callers import calling
from tests.chaos.fleet import Fleet

pytestmark = [pytest.mark.timeout(300), pytest.mark.asyncio(loop_scope="module")]

_KILLS_SHORT, _KILLS_LONG = 3, 20
_GATEWAY_KILLS_SHORT, _GATEWAY_KILLS_LONG = 2, 5
_STANDS_STILL_S = 2.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(fleet: Fleet) -> Fleet:
    """Everything runs; each test leaves it so."""
    await fleet.start()
    return fleet


async def test_replicas_that_are_killed_at_random_cost_no_request(
    running: Fleet, is_long: bool
) -> None:
    """Of two replicas one is always there: nothing is lost, for no gateway connection was cut."""
    chance = random.Random(6)  # noqa: S311 - no secret
    async with calling(running.urls) as count:
        for _ in range(_KILLS_LONG if is_long else _KILLS_SHORT):
            victim = chance.choice(running.replicas)
            await asyncio.sleep(chance.random() / 2)
            await victim.kill()
            await count.more()
            await victim.start()
            await count.more()
    assert (dict(count.failed), count.cut, count.lost) == ({}, 0, 0)


async def test_a_replica_that_stands_still_and_goes_on_costs_no_request(running: Fleet) -> None:
    """SIGSTOP: what it holds is answered when it goes on, and nothing is called hanging for it."""
    async with calling(running.urls) as count:
        for replica in running.replicas:
            replica.signal(signal.SIGSTOP)
            await asyncio.sleep(_STANDS_STILL_S)
            replica.signal(signal.SIGCONT)
            await count.more()
    assert (dict(count.failed), count.cut, count.lost) == ({}, 0, 0)
    for replica in running.replicas:
        assert replica.process is not None
        assert "worker_hangs" not in replica.process.said()


async def test_a_replica_that_stands_still_for_good_costs_no_request(
    running: Fleet, is_long: bool
) -> None:
    """Its connection answers no ping: within 20 s its calls are another's, and all are answered."""
    if not is_long:
        pytest.skip("takes the 20 s of the ping and more: make chaos")
    async with calling(running.urls) as count:
        running.replicas[0].signal(signal.SIGSTOP)
        await asyncio.sleep(45)
        await count.more()
        running.replicas[0].signal(signal.SIGCONT)
    assert (dict(count.failed), count.cut, count.lost) == ({}, 0, 0)


async def test_a_rolling_restart_of_every_process_costs_no_request(running: Fleet) -> None:
    """Each drains and is back before the next; a client of two gateways that reconnects."""
    async with calling(running.urls) as count:
        for member in [*running.replicas, *running.gateways]:
            assert await member.terminate() == 0
            await count.more()
            await member.start()
            await count.more()
    assert (dict(count.failed), count.lost) == ({}, 0)


async def test_a_gateway_that_is_killed_costs_only_what_was_under_way_there(
    running: Fleet, is_long: bool
) -> None:
    """A client that asks the other gateway loses nothing; the other's callers notice nothing."""
    first, other = running.gateways
    async with calling([other.ports.url]) as untouched, calling(running.urls) as count:
        for _ in range(_GATEWAY_KILLS_LONG if is_long else _GATEWAY_KILLS_SHORT):
            await first.kill()
            await count.more()
            await first.start()
            await count.more()
    assert (dict(count.failed), count.lost) == ({}, 0)
    assert count.cut > 0
    assert (dict(untouched.failed), untouched.cut, untouched.lost) == ({}, 0, 0)
