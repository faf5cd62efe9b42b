"""Which models may be in memory at once: least recently used out first, under a bound in bytes.

Those that are to come stand in line. One goes ahead of others where all of them fit beside it: what
waits for a busy model to go holds up nobody, and many small ones do not keep a large one out.

The decision alone: nothing is loaded or freed here, and whether a model is in use is asked.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from itertools import takewhile
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Residency(Generic[Key]):
    """What is held in memory, in the order of its last use.

    Args:
        bound_bytes: most memory of all models together; 0: no bound.
    """

    def __init__(self, bound_bytes: int = 0) -> None:
        self.bound_bytes = bound_bytes
        self.held_bytes = 0
        self._sizes: OrderedDict[Key, int] = OrderedDict()
        self._line: dict[Key, int] = {}  # what is to come or is being loaded, who came first first

    def __contains__(self, key: Key) -> bool:
        return key in self._sizes

    def __iter__(self) -> Iterator[Key]:
        return iter(self._sizes)

    def fits_at_all(self, size_bytes: int) -> bool:
        """Whether so much could be held if nothing else were."""
        return self.bound_bytes == 0 or size_bytes <= self.bound_bytes

    @property
    def awaited(self) -> bool:
        """Whether any model stands in line."""
        return bool(self._line)

    def line_up(self, key: Key, size_bytes: int) -> None:
        """Puts a model that is to come at the end of the line, in which it stays until `drop`."""
        self._line.pop(key, None)
        self._line[key] = size_bytes

    def hold(self, key: Key, size_bytes: int) -> None:
        """Counts a model that is in memory or is being loaded, as the most recently used."""
        self.held_bytes -= self._sizes.pop(key, 0)
        self._sizes[key] = size_bytes
        self.held_bytes += size_bytes

    def touch(self, key: Key) -> None:
        """Notes that a model is used now."""
        if key in self._sizes:
            self._sizes.move_to_end(key)

    def drop(self, key: Key) -> None:
        """Stops counting a model; does nothing for one that is not counted."""
        self._line.pop(key, None)
        self.held_bytes -= self._sizes.pop(key, 0)

    def to_evict(self, key: Key, is_idle: Callable[[Key], bool]) -> list[Key] | None:
        """Chooses what must go before a model that stands in line may be held.

        Args:
            key: the model.
            is_idle: whether a model may go now.

        Returns:
            The models, least recently used first; none at all (None) while too much is in use, or
            while those ahead of it in the line need the room.
        """
        size_bytes, ahead_bytes = self._line[key], self._ahead_bytes(key)
        if not self.fits_at_all(ahead_bytes + size_bytes):
            return None
        excess = self.held_bytes + size_bytes - self.bound_bytes
        chosen: list[Key] = []
        if self.bound_bytes == 0 or excess <= 0:
            return chosen
        for held, size in self._sizes.items():
            if is_idle(held):
                chosen.append(held)
                excess -= size
                if excess <= 0:
                    return chosen
        return None

    def _ahead_bytes(self, key: Key) -> int:
        """What those ahead of a model in the line will hold."""
        ahead = takewhile(lambda one: one[0] != key, self._line.items())
        return sum(size for _, size in ahead)
