"""What takes long to read or to decode, beside the event loop.

One thread does it: long texts wait for each other, and the cores are the workers'. What waits there
is counted, so that the door can refuse more before any work is done for it.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

# More characters take more than about a millisecond, which on the loop every caller would wait.
_INLINE_CHARS = 2_000
# Of English; texts of other scripts have more tokens, and wait for less of each other.
_CHARS_PER_TOKEN = 4

_T = TypeVar("_T")


class LongTexts:
    """Runs the work of calls: at once if their texts are short, else in a thread, in turn."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="long-texts")
        self._chars = 0  # of the calls in the thread, or that wait for it

    def close(self) -> None:
        """Lets the thread end."""
        self._thread.shutdown(cancel_futures=True)

    def tokens_ahead(self, chars: int) -> int:
        """About how many tokens a call would wait for before its own are known.

        Args:
            chars: of its texts.
        """
        return self._chars // _CHARS_PER_TOKEN if chars > _INLINE_CHARS else 0

    async def run(self, chars: int, work: Callable[[], _T]) -> _T:
        """Runs a call's work.

        Args:
            chars: of its texts.
            work: must not touch what belongs to the event loop.
        """
        if chars <= _INLINE_CHARS:
            return work()
        self._chars += chars
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        finally:
            self._chars -= chars
