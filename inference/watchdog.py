"""The watch over the workers: says when one hangs and when it goes on, and gives up at last."""

import asyncio
import time
from collections.abc import Callable

from inference.batcher import Batcher
from inference.metrics import Metrics
from telemetry import logs

_log = logs.get_logger(__name__)

_NS_PER_S = 1_000_000_000
LOOK_S = 0.25


class Watchdog:
    """Looks at a batcher's workers; its owner runs `run` as a task and cancels it.

    Args:
        batcher: whose workers are watched.
        metrics: where hanging workers are shown.
        on_change: told whether every worker goes on, when that changes.
        give_up_s: after a worker has hung for so long, `given_up` is set; 0: never.
    """

    def __init__(
        self,
        batcher: Batcher,
        metrics: Metrics,
        on_change: Callable[[bool], None],
        give_up_s: float,
    ) -> None:
        self._batcher = batcher
        self._metrics = metrics
        self._on_change = on_change
        self._give_up_looks = give_up_s / LOOK_S
        self.given_up = asyncio.Event()

    async def run(self) -> None:
        """Looks for ever."""
        looks = 0  # in a row that found a worker hanging
        while True:
            await asyncio.sleep(LOOK_S)
            hanging = self._batcher.hanging(time.monotonic_ns())
            self._metrics.hanging_workers.set(hanging)
            if bool(hanging) != bool(looks):
                say = _log.error if hanging else _log.warning
                say("worker_hangs" if hanging else "worker_goes_on", workers=hanging)
                self._on_change(not hanging)
            looks = looks + 1 if hanging else 0
            if self._give_up_looks and looks >= self._give_up_looks and not self.given_up.is_set():
                _log.critical("worker_hangs_for_good", workers=hanging)
                self.given_up.set()
