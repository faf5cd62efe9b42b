"""Shadow traffic: a share of what was answered is put to a candidate version, and compared.

The answer has gone out before; a candidate that is slow, wrong or broken changes nothing but the
counts. It runs only while nothing else waits, and a copy that would have to wait is dropped.
"""

import asyncio
import contextvars
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from inference.core import Entity, Priority, RecognizeAnswer, RecognizeQuery
from inference.engine import Engine
from inference.errors import ModelNotFound, RecognitionError, TextRejected
from inference.metrics import Metrics
from telemetry import logs

_log = logs.get_logger(__name__)
# More copies at once would only wait for each other; each holds its texts.
_MAX_RUNNING = 2

_Result = list[Entity] | TextRejected


@dataclass(frozen=True, slots=True)
class Differences:
    """What a candidate answered otherwise."""

    same: int = 0  # texts
    different: int = 0  # texts


def compare(answered: list[_Result], candidate: list[_Result]) -> Differences:
    """Counts the texts whose entities differ: label or place; a score always differs a little.

    Args:
        answered: what the caller got, one result per text.
        candidate: what the candidate gave.
    """
    pairs = list(zip(answered, candidate, strict=True))
    same = sum(_key(one) == _key(other) for one, other in pairs)
    return Differences(same, len(pairs) - same)


class Shadow:
    """Puts a share of the calls to candidates; owned by who calls `aclose`.

    Args:
        engine: answers; told of each of its answers by `offer`.
        metrics: where texts are counted.
        busy: whether calls wait for a worker.
        random_share: a number in [0, 1) for each call.
    """

    def __init__(
        self,
        engine: Engine,
        metrics: Metrics,
        busy: Callable[[], bool],
        random_share: Callable[[], float] = random.random,
    ) -> None:
        self._engine = engine
        self._metrics = metrics
        self._busy = busy
        self._random = random_share
        self._running: set[asyncio.Task[None]] = set()

    def offer(self, query: RecognizeQuery, answer: RecognizeAnswer) -> None:
        """Copies a call to the candidate, if its share and the load allow; waits for nothing."""
        repository = self._engine.repository
        try:
            served = repository.served(answer.model)
        except ModelNotFound:
            return  # it was unloaded in the meantime
        routing = served.routing
        if not routing.shadows(answer.version, self._random()):
            return
        candidate = served.versions.get(routing.shadow_version)
        # Loading it could free a version that somebody waits for.
        is_away = (
            repository.memory.room.bounded and candidate is not None and not candidate.resident
        )
        if is_away or self._busy() or len(self._running) >= _MAX_RUNNING:
            self._metrics.shadow(answer.model, "skipped", len(query.texts))
            return
        copy = replace(
            query,
            model=answer.model,
            version=routing.shadow_version,
            priority=Priority.BULK,
        )
        # In no trace: the call's own may have ended by then.
        task = asyncio.create_task(self._run(copy, answer), context=contextvars.Context())
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def settled(self) -> None:
        """Waits until no copy runs."""
        while self._running:
            await asyncio.wait(self._running)

    async def aclose(self) -> None:
        """Drops the copies that run."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _run(self, query: RecognizeQuery, answer: RecognizeAnswer) -> None:
        try:
            lease = await self._engine.repository.lease(query.model, query.version)
            with lease as model:
                candidate = await self._engine.answer(model, query)
            found = compare(answer.results, candidate.results)
        except RecognitionError:
            self._metrics.shadow(query.model, "failed", len(query.texts))
        except Exception:  # noqa: BLE001 - a copy that nobody waits for
            _log.exception("shadow_failed", model=query.model, version=query.version)
            self._metrics.shadow(query.model, "failed", len(query.texts))
        else:
            self._metrics.shadow(query.model, "same", found.same)
            self._metrics.shadow(query.model, "different", found.different)


def _key(result: _Result) -> object:
    if isinstance(result, TextRejected):
        return result.reason
    return [(entity.label, entity.start, entity.end) for entity in result]
