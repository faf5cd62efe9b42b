"""The watcher: looks at the repository's folder and lets the service follow its changes."""

import asyncio

from inference.catalogue import NOTHING, FoundModel, settled
from inference.errors import SourceUnreadable
from inference.loader import Loader
from inference.repository import Repository
from telemetry import logs

_log = logs.get_logger(__name__)


class Watcher:
    """Polls a folder; owned by whoever runs and cancels `run`.

    Args:
        repository: follows what is found.
        loader: looks at the folder.
        interval_s: between two looks; a change is acted upon when it is seen twice.
    """

    def __init__(
        self,
        repository: Repository,
        loader: Loader,
        interval_s: float,
    ) -> None:
        self._repository = repository
        self._loader = loader
        self._interval_s = interval_s
        self._before: dict[str, FoundModel] = {}
        self._applied: dict[str, FoundModel] = {}
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._fault = ""

    async def run(self) -> None:
        """Looks until it is cancelled; what it has begun to load ends with the repository."""
        self._applied = self._before = self._repository.found
        try:
            while True:
                await asyncio.sleep(self._interval_s)
                await self.look()
        finally:
            for task in self._busy.values():
                task.cancel()

    async def look(self) -> None:
        """Looks once and starts what must be done; a model whose change is under way is left."""
        try:
            now = await self._repository.memory.beside(self._loader.scan)
        except (SourceUnreadable, OSError) as error:
            self._say(str(error))
            return
        except Exception as error:  # noqa: BLE001 - a look that fails must not be the last
            self._say(f"{type(error).__name__}: {error}")
            return
        self._say("")
        for name in {**self._before, **now, **self._applied}:
            applied = self._applied.get(name, NOTHING)
            seen = now.get(name, NOTHING)
            view = settled(self._before.get(name, NOTHING), seen, applied)
            if view != applied and name not in self._busy:
                self._applied[name] = view
                task = asyncio.create_task(self._repository.apply(name, view))
                self._busy[name] = task
                task.add_done_callback(lambda _, name=name: self._busy.pop(name))  # type: ignore[misc]
        self._before = now

    async def idle(self) -> None:
        """Waits until every change that was begun has been made."""
        await asyncio.gather(*self._busy.values())

    def _say(self, fault: str) -> None:
        """Logs a fault when it begins, and its end."""
        if fault and not self._fault:
            _log.warning("models_not_refreshed", detail=fault)
        elif self._fault and not fault:
            _log.info("models_refreshed_again")
        self._fault = fault
