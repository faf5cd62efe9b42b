import asyncio

import pytest

from gateway.stream_window import StreamWindow


async def _waits(window: StreamWindow, item_bytes: int) -> asyncio.Task[None]:
    entering = asyncio.create_task(window.enter(item_bytes))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not entering.done()
    return entering


@pytest.mark.parametrize(("entered", "waiting"), [([1, 1], 1), ([60], 41)])
async def test_an_item_waits_for_a_place_and_for_its_bytes(
    entered: list[int], waiting: int
) -> None:
    window = StreamWindow(max_items=2, max_bytes=100)
    for item_bytes in entered:
        await window.enter(item_bytes)
    entering = await _waits(window, waiting)
    window.leave(entered[0])
    await asyncio.wait_for(entering, 5)
    assert window.items == len(entered)


async def test_an_item_larger_than_all_bytes_is_let_in_alone() -> None:
    window = StreamWindow(max_items=2, max_bytes=100)
    await window.enter(1)
    entering = await _waits(window, 1_000)
    window.leave(1)
    await asyncio.wait_for(entering, 5)
    (await _waits(window, 0)).cancel()


async def test_an_item_that_waited_in_vain_is_not_inside() -> None:
    window = StreamWindow(max_items=1, max_bytes=100)
    await window.enter(1)
    entering = await _waits(window, 1)
    entering.cancel()
    await asyncio.wait([entering])
    assert window.items == 1
    window.leave(1)
    await asyncio.wait_for(window.enter(100), 5)
