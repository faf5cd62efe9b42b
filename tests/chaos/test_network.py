"""A network between gateway and inference that cuts, delays, narrows and swallows."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from tests.chaos.callers import Count, calling
from tests.chaos.fleet import Fleet, Member
from tests.chaos.proxy import Proxy
from tests.e2e.stack import free_ports

pytestmark = [pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="module")]

_HOST = "127.0.0.1"
_CUTS_SHORT, _CUTS_LONG = 10, 100


@dataclass(frozen=True, slots=True)
class _Network:
    """A gateway whose way to each of two replicas leads through a proxy."""

    one: Proxy
    other: Proxy
    gateway: Member


@dataclass(frozen=True, slots=True)
class _Path:
    """The two ways, and the gateway's callers."""

    one: Proxy
    other: Proxy
    count: Count

    @property
    def lost(self) -> tuple[dict[str, int], int, int]:
        """What went wrong, by kind."""
        return dict(self.count.failed), self.count.cut, self.count.lost


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def network(
    fleet: Fleet, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[_Network]:
    """Everything runs."""
    one, other = fleet.replicas
    async with (
        Proxy(_HOST, one.ports.inference) as to_one,
        Proxy(_HOST, other.ports.inference) as to_other,
    ):
        target = Fleet.target([f"{_HOST}:{proxy.port}" for proxy in (to_one, to_other)])
        gateway = Member("gateway", tmp_path_factory.mktemp("gateway"), free_ports(), target)
        try:
            await asyncio.gather(one.start(), other.start(), gateway.start())
            yield _Network(to_one, to_other, gateway)
        finally:
            gateway.close()


@pytest_asyncio.fixture(loop_scope="module")
async def path(network: _Network) -> AsyncIterator[_Path]:
    """Callers ask; afterwards the network is whole again."""
    async with calling([network.gateway.ports.url]) as count:
        yield _Path(network.one, network.other, count)
        for proxy in (network.one, network.other):
            proxy.mend()


async def test_connections_that_are_cut_cost_no_request(path: _Path, is_long: bool) -> None:
    """What was under way there is asked of the other replica."""
    cut = 0
    for turn in range(_CUTS_LONG if is_long else _CUTS_SHORT):
        cut += await (path.one, path.other)[turn % 2].cut()
        await path.count.more(20)
        await asyncio.sleep(0.3)  # the gateway's longest pause between two attempts to connect
    assert cut > 0
    assert path.lost == ({}, 0, 0)


async def test_a_replica_that_no_longer_accepts_costs_no_request(path: _Path) -> None:
    path.one.accepts = False
    await path.one.cut()
    await path.count.more(100)
    path.one.accepts = True
    await path.count.more(100)
    assert path.lost == ({}, 0, 0)


async def test_a_slow_and_narrow_network_costs_no_request(path: _Path) -> None:
    """Answers come later, but they come, and they are right."""
    for proxy in (path.one, path.other):
        proxy.delay_s = 0.05
        proxy.bytes_per_s = 50_000
    await path.count.more(100)
    path.other.bytes_per_s = 5_000
    await path.count.more(50)
    assert path.lost == ({}, 0, 0)


async def test_a_network_that_swallows_everything_costs_no_request(
    path: _Path, is_long: bool
) -> None:
    """Short: for a second, after which it cuts. Long: until the ping finds it, within 20 s."""
    path.one.swallows = True
    await asyncio.sleep(25 if is_long else 1)
    if not is_long:
        await path.one.cut()
    await path.count.more(100)
    assert path.lost == ({}, 0, 0)
