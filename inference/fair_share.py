"""Who is served next when several share a server: start-time fair queueing.

Each flow has a tag, the virtual time at which it is served next; the earliest tag is served, and
its tag moves on by what it cost, divided by the flow's weight. The clock stands at the tag served
last; a flow that had nothing to do comes back at the clock, so that idleness earns no credit.
Between any two flows that have work, service is in proportion to their weights, within one batch
of each.

Source: Goyal, Vin, Cheng: Start-time Fair Queuing (SIGCOMM 1996).
"""

import heapq
from typing import Generic, TypeVar


class Flow:
    """One that is served.

    Args:
        weight: its share beside the others.
    """

    __slots__ = ("tag", "waits", "weight")

    def __init__(self, weight: float = 1) -> None:
        self.weight = weight
        self.tag = 0.0
        self.waits = False  # to be served, that is, in the heap of its share


F = TypeVar("F", bound=Flow)


class FairShare(Generic[F]):
    """Flows that wait to be served; those without work are not kept."""

    __slots__ = ("_clock", "_heap", "_number")

    def __init__(self) -> None:
        self._clock = 0.0
        self._heap: list[tuple[float, int, F]] = []
        self._number = 0  # breaks ties in the order of joining

    def join(self, flow: F) -> None:
        """Lets a flow wait that has got work; one that waits already stays where it is."""
        if flow.waits:
            return
        flow.waits = True
        flow.tag = max(flow.tag, self._clock)
        self._push(flow)

    def first(self) -> F | None:
        """The flow that is served next; it stays where it is."""
        return self._heap[0][2] if self._heap else None

    def serve(self, cost: float) -> None:
        """Lets the first flow be served at this cost, and wait for its next turn."""
        tag, _, flow = heapq.heappop(self._heap)
        self._clock = max(self._clock, tag)
        flow.tag += cost / flow.weight
        self._push(flow)

    def leave(self) -> None:
        """Lets the first flow go: it has no work left."""
        heapq.heappop(self._heap)[2].waits = False

    def _push(self, flow: F) -> None:
        heapq.heappush(self._heap, (flow.tag, self._number, flow))
        self._number += 1
