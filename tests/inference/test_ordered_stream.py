import asyncio
from collections.abc import AsyncIterator

import pytest

from inference.servicers.ordered_stream import OrderedStream

_LIMIT = 4


class _Source:
    """Numbers without end or up to one; counts how many were read."""

    def __init__(self, end: int) -> None:
        self.read = 0
        self._end = end

    async def __aiter__(self) -> AsyncIterator[int]:
        while self.read < self._end:
            self.read += 1
            yield self.read


async def test_answers_come_in_the_order_of_the_requests() -> None:
    """However long each takes: here the first of each group is ready last."""
    ready = [asyncio.Event() for _ in range(_LIMIT + 1)]
    written: list[int] = []

    async def answer(number: int) -> int:
        if number < _LIMIT:
            await ready[number].wait()
        else:
            for event in reversed(ready):
                event.set()
                await asyncio.sleep(0)
        return number

    async def write(number: int) -> None:
        written.append(number)

    assert await OrderedStream(answer, write, _LIMIT).run(aiter(_Source(_LIMIT)))
    assert written == [1, 2, 3, 4]


async def test_a_reader_that_takes_nothing_stops_the_reading() -> None:
    source = _Source(1_000)
    taking, taken = asyncio.Event(), 0

    async def answer(number: int) -> int:
        return number

    async def write(_number: int) -> None:
        nonlocal taken
        await taking.wait()
        taken += 1

    stream = asyncio.ensure_future(OrderedStream(answer, write, _LIMIT).run(aiter(source)))
    for _ in range(100):
        await asyncio.sleep(0)
    assert source.read == _LIMIT
    taking.set()
    await stream
    assert (source.read, taken) == (1_000, 1_000)


async def test_cancelling_the_stream_cancels_what_is_under_way() -> None:
    under_way = 0

    async def answer(_number: int) -> None:
        nonlocal under_way
        under_way += 1
        try:
            await asyncio.Event().wait()
        finally:
            under_way -= 1

    async def write(_answer: None) -> None:
        raise AssertionError

    stream = asyncio.ensure_future(OrderedStream(answer, write, _LIMIT).run(aiter(_Source(9))))
    for _ in range(100):
        await asyncio.sleep(0)
    assert under_way == _LIMIT
    stream.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stream
    assert under_way == 0


async def test_a_reader_that_is_gone_ends_the_stream() -> None:
    async def answer(number: int) -> int:
        return number

    async def write(_number: int) -> None:
        raise ConnectionError

    with pytest.raises(ExceptionGroup) as caught:
        await OrderedStream(answer, write, _LIMIT).run(aiter(_Source(1_000_000)))
    assert isinstance(caught.value.exceptions[0], ConnectionError)


async def test_a_stopped_stream_answers_what_it_has_read_and_ends() -> None:
    source, written = _Source(1_000), 0
    first = asyncio.Event()

    async def answer(number: int) -> int:
        await first.wait()
        return number

    async def write(_number: int) -> None:
        nonlocal written
        written += 1

    stream = OrderedStream(answer, write, _LIMIT)
    running = asyncio.ensure_future(stream.run(aiter(source)))
    for _ in range(100):
        await asyncio.sleep(0)
    stream.stop()
    first.set()
    assert not await running
    assert (source.read, written) == (_LIMIT, _LIMIT)


async def test_a_stream_that_is_stopped_when_all_is_read_has_ended_by_itself() -> None:
    read, go_on = asyncio.Event(), asyncio.Event()

    async def answer(number: int) -> int:
        read.set()
        await go_on.wait()
        return number

    async def write(_number: int) -> None:
        pass

    stream = OrderedStream(answer, write, _LIMIT)
    running = asyncio.ensure_future(stream.run(aiter(_Source(1))))
    await read.wait()
    for _ in range(10):
        await asyncio.sleep(0)
    stream.stop()
    go_on.set()
    assert await running


async def test_a_stream_that_is_stopped_before_it_runs_reads_nothing() -> None:
    source = _Source(1_000)

    async def answer(number: int) -> int:
        return number

    async def write(_number: int) -> None:
        raise AssertionError

    stream = OrderedStream(answer, write, _LIMIT)
    stream.stop()
    assert not await stream.run(aiter(source))
    assert source.read == 0
