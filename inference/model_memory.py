"""Versions come into memory: each is loaded once for all who wait, and again where that failed.

Loading and freeing run in threads; every decision is made on the event loop.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from inference.catalogue import FoundVersion
from inference.errors import (
    DeadlineExceeded,
    Draining,
    LoadFailed,
    ModelInvalid,
    ModelNotFound,
    QueueFull,
    Reason,
)
from inference.loader import Loader
from inference.model import Model
from inference.model_room import TURN_S, ModelRoom, Unwanted
from inference.served_model import Resident, Version
from telemetry import logs

_log = logs.get_logger(__name__)
_T = TypeVar("_T")

# One loads; the other keeps small models from waiting behind a large one.
_LOADING_THREADS = 2
# Calls that wait for one cold version: each holds its texts. The time to come back is about what a
# model of some 100 MB takes to load.
_MAX_WAITERS = 1_024
_RETRY_S = 1.0
_NS_PER_S = 1e9
# A load that failed is tried again after 1 s, 2 s, 4 s; seldom in the end, for one that always
# fails takes the others' time. What callers try in between makes it no longer.
_MOST_PAUSE_S = 300


class ModelMemory:
    """Owns the threads that try, load and free, and the room for what is loaded.

    Args:
        loader: loads and frees; none: versions only come by `room.hold`.
        bound_bytes: most memory of all versions together; 0: no bound.
        on_change: called after each change of a version's state.
        try_again: called for a version that could not be loaded, when that may have passed.
        turn_s: how long one that waits for room keeps it from those behind.

    Attributes:
        room: what is in memory.
    """

    def __init__(
        self,
        loader: Loader | None,
        bound_bytes: int,
        on_change: Callable[[], None],
        try_again: Callable[[Version], Coroutine[Any, Any, None]],
        turn_s: float = TURN_S,
    ) -> None:
        self._loader = loader
        self._try_again = try_again
        self._on_change = on_change
        self._threads = ThreadPoolExecutor(_LOADING_THREADS, thread_name_prefix="model-loader")
        self._trials = ThreadPoolExecutor(1, thread_name_prefix="model-trial")
        self._tasks: set[asyncio.Task[None]] = set()
        self._pauses: dict[Version, asyncio.TimerHandle] = {}  # before a version is tried again
        self._failed_early: list[Version] = []  # before there was an event loop
        self._closed = False
        self.room = ModelRoom(bound_bytes, self._free, self._spawn, on_change, turn_s)

    def load_now(self, version: Version, *, alone: bool = False) -> bool:
        """Loads a version in this thread, before there is an event loop; says whether it could.

        One that failed by no fault of its content is tried again after `start`.

        Args:
            version: whose folder exists.
            alone: it is the only one, so that no other could be harmed by it: it is not tried.
        """
        if version.found is None or self._loader is None:
            return False
        try:
            size_bytes = self._fitting(version)
            if not alone:
                self._loader.try_out(version.found)
            model = self._loader.load(version.found)
        except ModelInvalid as error:
            version.detail = str(error)
            if isinstance(error, LoadFailed):
                self._failed_early.append(version)
            return False
        self.room.hold(version, model, version.found.listing, size_bytes)
        return True

    def start(self) -> None:
        """Lets what could not be loaded before there was an event loop be tried again."""
        failed, self._failed_early = self._failed_early, []
        for version in failed:
            self._pause(version)

    async def load(self, version: Version) -> None:
        """Loads a version, or waits for who does; its `detail` says if that failed.

        Cancelling it cancels the wait alone.
        """
        if version.loading is None:
            version.loading = self._spawn(self._load(version))
        version.followers += 1
        try:
            await asyncio.shield(version.loading)
        finally:
            version.followers -= 1
            self.room.tell()

    async def wait_for(self, version: Version, expires_ns: int | None) -> Resident:
        """Waits for a version that is not in memory.

        Cancelling it gives up the place of this call alone; the version is loaded nevertheless, if
        it need not wait for room.

        Args:
            version: to be loaded.
            expires_ns: the caller's deadline on `time.monotonic_ns`; none waits for ever.

        Returns:
            A lease.

        Raises:
            ModelNotFound: it cannot be loaded.
            DeadlineExceeded: it was not loaded in time.
            QueueFull: too many calls wait for it already.
        """
        if len(version.waiters) >= _MAX_WAITERS:
            raise QueueFull(_RETRY_S)
        waiter: asyncio.Future[Resident] = asyncio.get_running_loop().create_future()
        version.waiters.append(waiter)
        if version.loading is None:
            version.loading = self._spawn(self._load(version))
        left_s = None if expires_ns is None else (expires_ns - time.monotonic_ns()) / _NS_PER_S
        try:
            async with asyncio.timeout(left_s):
                return await waiter
        except BaseException as error:
            if waiter in version.waiters:
                version.waiters.remove(waiter)
                self.room.tell()
            # It may have been given its lease in the instant in which it was called off.
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                waiter.result().end_lease()
            if isinstance(error, TimeoutError):
                raise DeadlineExceeded from None
            raise

    async def beside(self, work: Callable[[], _T]) -> _T:
        """Runs what waits for a disk or a processor in a thread of the loaders."""
        return await self._beside(self._threads, work)

    async def _beside(self, threads: ThreadPoolExecutor, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(threads, work)

    async def aclose(self, versions: list[Version]) -> None:
        """Ends fetching and loading; calls that wait for one of these hear that the service ends.

        May be repeated.
        """
        if self._closed:
            return
        self._closed = True
        if self._loader is not None:
            self._loader.stop_fetching()
        for pause in self._pauses.values():
            pause.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for version in versions:
            version.refuse(Draining())
        if self._loader is not None:
            await self.beside(self._loader.close)
        for threads in (self._trials, self._threads):
            threads.shutdown(wait=False, cancel_futures=True)

    async def _load(self, version: Version) -> None:
        while not version.current:
            found = version.found
            try:
                error = await self._fault(version)
            except Unwanted:
                version.loading = None
                return
            if error is not None and version.found == found:
                version.detail = str(error)
                if isinstance(error, LoadFailed) or version.is_known_good:
                    self._pause(version)
                break
            # Else its folder has changed meanwhile: once more.
        version.loading = None
        if version.resident is None:
            what = f"{version.name}/{version.version} cannot be loaded: {version.detail}"
            version.refuse(ModelNotFound(Reason.VERSION_NOT_FOUND, what))
        else:
            version.admit(version.resident)
        self._on_change()

    def _pause(self, version: Version) -> None:
        """Lets a version that could not be loaded be tried again, unless its folder changes."""
        if version in self._pauses:
            self._pauses[version].cancel()
        self._pauses[version] = asyncio.get_running_loop().call_later(
            min(2**version.failures, _MOST_PAUSE_S), self._end_pause, version, version.found
        )

    def _end_pause(self, version: Version, failed: FoundVersion | None) -> None:
        del self._pauses[version]
        if version.detail and version.found == failed and not version.withdrawn:
            version.failures += 1
            self._spawn(self._try_again(version))

    async def _fault(self, version: Version) -> ModelInvalid | None:
        """Brings a version into memory; says why that failed."""
        try:
            await self._bring_in(version)
        except ModelInvalid as error:
            return error
        except Unwanted:
            raise
        except Exception:  # noqa: BLE001 - a fault of ours must not leave its callers waiting
            _log.exception("model_load_failed", model=version.name, version=version.version)
            return LoadFailed("internal error while it was loaded: the log says which")
        return None

    async def _bring_in(self, version: Version) -> None:
        found, loader = version.found, self._loader
        if found is None or loader is None:
            raise ModelInvalid("its folder has gone")
        size_bytes = self._fitting(version)
        if not loader.is_tried(found):
            # In a thread of its own: what is slow to load keeps nobody else out of memory.
            await self._beside(self._trials, lambda: loader.try_out(found))
        place = object()  # counts the memory while there is no model yet
        try:
            await self.room.take(version, place, size_bytes)
            if version.found != found:
                return  # what stands in its folder now has not been tried
            model = await self.beside(lambda: loader.load(found))
            if version.withdrawn:
                raise ModelInvalid("it was taken out of service while it was loaded")
            self.room.hold(version, model, found.listing, size_bytes, place)
        finally:
            self.room.leave(place)
            self.room.tell()  # one that failed left room; one that nobody uses yet may make room

    def _fitting(self, version: Version) -> int:
        if version.found is None or self._loader is None:
            raise ModelInvalid("its folder has gone")
        size_bytes = self._loader.memory_bytes(version.found)
        if not self.room.fits_at_all(size_bytes):
            raise ModelInvalid(
                f"it takes {size_bytes} bytes of memory, more than all models may:"
                " INFERENCE_MODEL_MEMORY_MIB allows more"
            )
        return size_bytes

    async def _free(self, models: list[Model | None]) -> None:
        if self._loader is not None:
            loader = self._loader
            await self.beside(lambda: loader.free(models))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
