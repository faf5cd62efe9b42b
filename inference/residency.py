"""Which models may be in memory at once: least recently used out first, under a bound in bytes.

The decision alone: nothing is loaded or freed here, and whether a model is in use is asked.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
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

    def __contains__(self, key: Key) -> bool:
        return key in self._sizes

    def __iter__(self) -> Iterator[Key]:
        return iter(self._sizes)

    def fits_at_all(self, size_bytes: int) -> bool:
        """Whether so much could be held if nothing else were."""
        return self.bound_bytes == 0 or size_bytes <= self.bound_bytes

    def hold(self, key: Key, size_bytes: int) -> None:
        """Counts a model that is in memory or is being loaded, as the most recently used."""
        self.drop(key)
        self._sizes[key] = size_bytes
        self.held_bytes += size_bytes

    def touch(self, key: Key) -> None:
        """Notes that a model is used now."""
        if key in self._sizes:
            self._sizes.move_to_end(key)

    def drop(self, key: Key) -> None:
        """Stops counting a model; does nothing for one that is not counted."""
        self.held_bytes -= self._sizes.pop(key, 0)

    def to_evict(self, size_bytes: int, is_idle: Callable[[Key], bool]) -> list[Key] | None:
        """Chooses what must go before so much more may be held.

        Args:
            size_bytes: of what comes.
            is_idle: whether a model may go now.

        Returns:
            The models, least recently used first; none at all (None) while too much is in use.
        """
        excess = self.held_bytes + size_bytes - self.bound_bytes
        chosen: list[Key] = []
        if self.bound_bytes == 0 or excess <= 0:
            return chosen
        for key, size in self._sizes.items():
            if is_idle(key):
                chosen.append(key)
                excess -= size
                if excess <= 0:
                    return chosen
        return None
