"""What one stream may hold at a time."""

import asyncio
from typing import Final


class StreamWindow:
    """Bounds the items of a stream that are pending, and their bytes together.

    An item that is larger than all bytes is let in when it is alone. One task enters, any leave.

    Args:
        max_items: at least 1.
        max_bytes: of all items that are pending.
    """

    def __init__(self, max_items: int, max_bytes: int) -> None:
        self._max_items: Final = max_items
        self._max_bytes: Final = max_bytes
        self._left: Final = asyncio.Event()
        self._bytes = 0
        self.items = 0

    async def enter(self, item_bytes: int) -> None:
        """Wait until an item fits, and let it in; cancelling the wait lets nothing in."""
        while not self._fits(item_bytes):
            self._left.clear()
            await self._left.wait()
        self.items += 1
        self._bytes += item_bytes

    def leave(self, item_bytes: int) -> None:
        """Let an item out that has been let in."""
        self.items -= 1
        self._bytes -= item_bytes
        self._left.set()

    def _fits(self, item_bytes: int) -> bool:
        if self.items == 0:
            return True
        return self.items < self._max_items and self._bytes + item_bytes <= self._max_bytes
