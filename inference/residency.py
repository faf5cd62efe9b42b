"""Which models may be in memory at once: least recently used out first, under a bound in bytes.

Those that are to come stand in line. One goes ahead of others where all of them fit beside it and
beside what came after them and is in use: what waits for a busy model to go holds up nobody, and
many small ones do not keep a large one out.

The decision alone: nothing is loaded or freed here, and whether a model is in use is asked.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from itertools import count, takewhile
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
        self._line: dict[Key, int] = {}  # what is to come, who came first first
        self._numbers = count(1)
        self._came: dict[Key, int] = {}  # when it stood in line, or was used after having been idle

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
        """Puts a model that is to come at the end of the line, until `hold` or `drop`."""
        self._line.pop(key, None)
        self._line[key] = size_bytes
        self._came[key] = next(self._numbers)

    def hold(self, key: Key, size_bytes: int) -> None:
        """Counts a model that is in memory or is being loaded, as the most recently used."""
        self._line.pop(key, None)
        self.held_bytes -= self._sizes.pop(key, 0)
        self._sizes[key] = size_bytes
        self.held_bytes += size_bytes
        self._came.setdefault(key, next(self._numbers))

    def replace(self, place: Key, key: Key, size_bytes: int) -> None:
        """Holds a model in the stead of what was counted while it was loaded, if anything was."""
        if place in self._came:
            self._came[key] = self._came[place]
        self.drop(place)
        self.hold(key, size_bytes)

    def touch(self, key: Key, *, was_idle: bool) -> None:
        """Notes that a model is used now.

        Args:
            key: the model.
            was_idle: nobody used it until now, so that those in line came before it.
        """
        if key in self._sizes:
            self._sizes.move_to_end(key)
            if was_idle:
                self._came[key] = next(self._numbers)

    def drop(self, key: Key) -> None:
        """Stops counting a model; does nothing for one that is not counted."""
        self._line.pop(key, None)
        self._came.pop(key, None)
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
        if not self._leaves_room_for_those_ahead(key, is_idle):
            return None
        excess = self.held_bytes + self._line[key] - self.bound_bytes
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

    def _leaves_room_for_those_ahead(self, key: Key, is_idle: Callable[[Key], bool]) -> bool:
        busy = [held for held in self._sizes if not is_idle(held)]
        busy_bytes = sum(self._sizes[held] for held in busy)
        needed_bytes = self._line[key]
        for ahead, size in takewhile(lambda one: one[0] != key, self._line.items()):
            needed_bytes += size
            before = (held for held in busy if self._came[held] < self._came[ahead])
            before_bytes = sum(self._sizes[held] for held in before)
            # It waits for what came before it to go. Where it fits beside that, it waits for those
            # alone that came after it: more of them would keep it out for ever.
            gone_bytes = 0 if self.fits_at_all(before_bytes + size) else before_bytes
            if not self.fits_at_all(needed_bytes + busy_bytes - gone_bytes):
                return False
        return True
