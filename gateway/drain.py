"""The drain: the gateway is about to stop, and what has no end of its own comes to one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final


class Drain:
    """Stops what would go on for as long as its caller likes."""

    def __init__(self) -> None:
        self._stops: Final[set[Callable[[], None]]] = set()
        self._begun = False

    def begin(self) -> None:
        """Stop what runs, and whatever begins from now on."""
        self._begun = True
        for stop in self._stops:
            stop()

    @contextmanager
    def stopping(self, stop: Callable[[], None]) -> Iterator[None]:
        """Call `stop` if the drain begins before the end of the block, or has begun."""
        self._stops.add(stop)
        if self._begun:
            stop()
        try:
            yield
        finally:
            self._stops.discard(stop)
