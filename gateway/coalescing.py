"""Which texts travel in one call, and when: the decision alone, without calls or clock.

Rules:
  1. While fewer calls are under way than `calls`, whatever waits is sent, spread evenly over the
     calls that are still free. A lone text never waits, and a few texts reach several servers.
  2. While as many are, texts gather until a call ends, until they fill one, or until the first of
     them has waited `hold_s`: load itself makes the calls large.
  3. Only texts that ask for the same are joined.
  4. A call is answered when its slowest text is, so those of near-equal length travel together.
  5. Who leaves before its call is sent is not sent.
  6. Under overload half as many calls count as enough: all wait, and nobody is answered sooner by
     a call of his own.
  7. Time is an argument.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

Owner = TypeVar("Owner")


@dataclass(frozen=True, slots=True)
class JoinLimits:
    """What one joined call may hold, and how many there are before texts wait for each other.

    Attributes:
        calls: calls under way from which on texts gather; at least 1.
        texts: most texts of one call; at least 1.
        chars: most code points of one call; a longer text goes alone.
        hold_s: longest time, in seconds, that a text waits for others.
    """

    calls: int
    texts: int
    chars: int
    hold_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Waiting(Generic[Owner]):
    """One text that waits to be sent.

    Attributes:
        owner: whose it is; only its identity matters here.
        options: what is asked for, the same bytes for the same.
        chars: length of the text in code points.
        since_s: when it came, in seconds.
    """

    owner: Owner
    options: bytes
    chars: int
    since_s: float


class Coalescer(Generic[Owner]):
    """Texts that wait, and the number of calls that are under way.

    Args:
        limits: how texts are joined.
    """

    def __init__(self, limits: JoinLimits) -> None:
        self._limits: Final = limits
        self._lanes: Final[dict[bytes, dict[Waiting[Owner], None]]] = {}
        self._under_way = 0

    @property
    def hold_until_s(self) -> float | None:
        """The moment at which `take` must be asked again, if nothing happens before."""
        oldest = (next(iter(lane)).since_s for lane in self._lanes.values())
        first_s = min(oldest, default=None)
        return None if first_s is None else first_s + self._limits.hold_s

    def add(self, waiting: Waiting[Owner]) -> None:
        """Let a text wait."""
        self._lanes.setdefault(waiting.options, {})[waiting] = None

    def leave(self, waiting: Waiting[Owner]) -> None:
        """Forget a text; does nothing if it was sent."""
        lane = self._lanes.get(waiting.options, {})
        lane.pop(waiting, None)
        if not lane:
            self._lanes.pop(waiting.options, None)

    def end(self) -> None:
        """Note that a call which `take` gave out has ended."""
        self._under_way -= 1

    def take(self, now_s: float, *, overloaded: bool = False) -> list[list[Owner]]:
        """Take out what is to be sent now, one list a call; each counts as under way from now on.

        Args:
            now_s: the present, on the clock of the texts.
            overloaded: whether there is overload.
        """
        most = max(1, self._limits.calls // 2) if overloaded else self._limits.calls
        calls = []
        for options in tuple(self._lanes):
            for call in self._calls_of(options, now_s, most):
                self._under_way += 1
                calls.append([waiting.owner for waiting in call])
        return calls

    def _calls_of(
        self, options: bytes, now_s: float, most_calls: int
    ) -> Iterator[list[Waiting[Owner]]]:
        limits = self._limits
        lane = self._lanes[options]
        free = most_calls - self._under_way
        due = free > 0 or now_s >= next(iter(lane)).since_s + limits.hold_s
        if not due and len(lane) < limits.texts:
            return
        size = min(limits.texts, -(-len(lane) // max(free, 1)))
        for call in _cut(sorted(lane, key=_chars), size, limits.chars):
            if due or len(call) == limits.texts:
                for waiting in call:
                    del lane[waiting]
                yield call
        if not lane:
            del self._lanes[options]


def _chars(waiting: Waiting[Owner]) -> int:
    return waiting.chars


def _cut(texts: list[Waiting[Owner]], size: int, most_chars: int) -> Iterator[list[Waiting[Owner]]]:
    """Cut texts into calls of at most `size` texts and `most_chars` code points."""
    call: list[Waiting[Owner]] = []
    chars = 0
    for waiting in texts:
        if call and (len(call) == size or chars + waiting.chars > most_chars):
            yield call
            call, chars = [], 0
        call.append(waiting)
        chars += waiting.chars
    yield call
