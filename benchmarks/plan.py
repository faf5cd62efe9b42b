"""What a load generator is told, as JSON between the processes."""

import json
from dataclasses import asdict, dataclass
from typing import Any, Self

from benchmarks.ways import Way


@dataclass(frozen=True, slots=True)
class Plan:
    """One run of one load generator."""

    way: Way
    authority: str  # host:port
    corpus: str
    corpus_texts: int
    seed: int
    connections: int
    measure_s: float
    warm_up_s: float = 1.0
    depth: int = 1  # calls under way on each connection
    texts_per_call: int = 1
    rate_per_s: float | None = None  # calls a second whether answered or not; none: closed loop
    calls: int | None = None  # ends a closed loop before its time is up
    is_mischief: bool = False  # the calls of a soak instead of the corpus
    bulk: bool = False  # marked as work that may wait
    bulk_is_known: bool = False  # whether the gateway takes that mark

    def to_json(self) -> str:
        """For the command line of the generator."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads what `to_json` wrote."""
        fields: dict[str, Any] = json.loads(text)
        return cls(**(fields | {"way": Way(fields["way"])}))
