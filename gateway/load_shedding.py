"""Which single texts are refused so that the others are answered soon: the decision alone.

Rules:
  1. A crowd may come at once: as many texts may be under way as are answered in `crowd_s`.
  2. More than that is overload. From then on an eighth of it may be under way, the newest beyond
     are given up, and whoever comes is refused until one is answered: those who are let in wait
     for a short while, however many come.
  3. Overload ends with the first second in which fewer were refused than a tenth of those answered,
     or nobody came. So a crowd that only comes back as often as it is answered is let in again.
  4. How many are answered in a time is measured, and never taken for less than what keeps the
     inference service busy: a limit that is too low would confirm itself.
  5. A text that takes longer than a crowd does is not in the queue: it is long, or its replica
     stands still. It is no longer counted, or a few of them would shut the door to all.
  6. Time is an argument.

Source: adaptive concurrency limits, as Netflix and Envoy have them; here the limit only holds while
there is overload, because a closed loop of many callers is none.
"""

from dataclasses import dataclass
from typing import Final, Generic, TypeVar

Owner = TypeVar("Owner")

# With 32 texts under way here the 99th percentile under three times the load is that of four fifths
# of it, and goodput 0.85 to 0.95; with 24 goodput was 0.8, with 64 the percentile three times that
# (`python -m benchmarks.overload`, docs/adr/0018).
_CROWD_OF_LEAST: Final = 8
_LOOK_EVERY_S: Final = 1.0
_LONGEST_COUNTED_S: Final = 2.0
_REFUSED_SHARE: Final = 0.1


@dataclass(frozen=True, slots=True)
class ShedLimits:
    """How many texts may be under way.

    Attributes:
        crowd_s: seconds of work that may come at once.
        least_texts: texts that may be under way in any case; eight times as many in a crowd.
    """

    crowd_s: float
    least_texts: int


class LoadShedder(Generic[Owner]):
    """The texts that are under way, and whether there is overload.

    Args:
        limits: how many there may be.

    Attributes:
        overloaded: whether there is overload.
    """

    def __init__(self, limits: ShedLimits) -> None:
        self._limits: Final = limits
        self._crowd = _CROWD_OF_LEAST * limits.least_texts
        # Those that count, in order of arrival, and since when.
        self._under_way: Final[dict[Owner, float]] = {}
        self.overloaded = False
        self._per_s = 0.0
        # Since when, in seconds, the two below are counted.
        self._since_s = 0.0
        self._answered = 0
        self._refused = 0

    def refuses(self, now_s: float) -> bool:
        """Say whether a text that comes now is refused; it is then counted as such."""
        self.look(now_s)
        if self.overloaded and len(self._under_way) >= self._most():
            self._forget(now_s)
            if len(self._under_way) >= self._most():
                self._refused += 1
                return True
        return False

    def enter(self, owner: Owner, now_s: float) -> list[Owner]:
        """Let a text in that `refuses` did not refuse.

        Returns:
            The newest texts, this one perhaps among them, that must be given up because it was one
            too many; they leave as all do.
        """
        self.look(now_s)
        self._under_way[owner] = now_s
        if self.overloaded or len(self._under_way) <= self._crowd:
            return []
        self._forget(now_s)
        if len(self._under_way) <= self._crowd:
            return []
        self.overloaded = True
        given_up = list(self._under_way)[self._most() :]
        self._refused += len(given_up)
        return given_up

    def leave(self, owner: Owner, *, answered: bool) -> None:
        """Note that a text is no longer under way."""
        self._under_way.pop(owner, None)
        self._answered += answered

    def look(self, now_s: float) -> None:
        """Measure and decide anew, if it is time."""
        passed_s = now_s - self._since_s
        if passed_s < _LOOK_EVERY_S:
            return
        self._per_s = self._answered / passed_s
        least = _CROWD_OF_LEAST * self._limits.least_texts
        self._crowd = max(least, int(self._per_s * self._limits.crowd_s))
        if passed_s >= 2 * _LOOK_EVERY_S or self._refused <= _REFUSED_SHARE * self._answered:
            self.overloaded = False
        self._since_s, self._answered, self._refused = now_s, 0, 0

    def _forget(self, now_s: float) -> None:
        """Count those no longer that take longer than a crowd."""
        longest_s = _LONGEST_COUNTED_S
        if self._per_s:
            longest_s = min(longest_s, self._crowd / self._per_s)
        while self._under_way:
            owner, since_s = next(iter(self._under_way.items()))
            if now_s - since_s <= longest_s:
                break
            del self._under_way[owner]

    def _most(self) -> int:
        return self._crowd // _CROWD_OF_LEAST
