"""What is remembered of each caller in one process."""

from gateway.ledger import MemoryLedger
from gateway.token_bucket import Charge, Rule
from tests.clock import Clock

_ONE = [Charge(Rule("requests", 1.0, 1.0), 1.0)]


async def test_callers_do_not_use_up_each_others_limits() -> None:
    ledger = MemoryLedger(Clock())
    assert (await ledger.take("a", _ONE)).passes
    assert not (await ledger.take("a", _ONE)).passes
    assert (await ledger.take("b", _ONE)).passes


async def test_time_gives_back_what_was_used() -> None:
    clock = Clock()
    ledger = MemoryLedger(clock)
    await ledger.take("a", _ONE)
    clock.now_s = 1.0
    assert (await ledger.take("a", _ONE)).passes


async def test_requests_that_end_make_room_for_others() -> None:
    ledger = MemoryLedger(Clock())
    assert [await ledger.enter("a", str(n), 2) for n in range(3)] == [True, True, False]
    await ledger.leave("a", "0")
    assert await ledger.enter("a", "3", 2)


async def test_any_number_of_callers_takes_a_bounded_memory() -> None:
    """And those whose requests run are not the ones forgotten."""
    ledger = MemoryLedger(Clock(), max_callers=100)
    await ledger.enter("busy", "1", 1)
    await ledger.take("regular", _ONE)
    for n in range(1000):
        await ledger.take(f"address:{n}", _ONE)
        if n % 50 == 0:
            assert not (await ledger.take("regular", _ONE)).passes
    assert len(ledger) <= 101
    assert not await ledger.enter("busy", "2", 1)
