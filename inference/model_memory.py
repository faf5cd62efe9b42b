"""The versions that are in memory: loaded once for all who wait, freed when nobody uses them.

Loading and freeing run in threads; every decision is made on the event loop.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from inference.errors import (
    DeadlineExceeded,
    Draining,
    LoadFailed,
    ModelInvalid,
    ModelNotFound,
    QueueFull,
    Reason,
)
from inference.folder_files import Listing
from inference.loader import Loader
from inference.model import Model
from inference.residency import Residency
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
# fails takes the others' time.
_MOST_PAUSE_S = 300
# Calls end in a fraction of this: what has found no room by then waits for what never rests.
_TURN_S = 10.0


class ModelMemory:
    """Owns the threads that try, load and free, and the bound that holds.

    Args:
        loader: loads and frees; none: versions only come by `hold`.
        bound_bytes: most memory of all versions together; 0: no bound.
        on_change: called after each change of a version's state.
        try_again: called for a version that could not be loaded, when that may have passed.
        turn_s: how long one that waits for room keeps it from those behind.
    """

    def __init__(
        self,
        loader: Loader | None,
        bound_bytes: int,
        on_change: Callable[[], None],
        try_again: Callable[[Version], Awaitable[None]],
        turn_s: float = _TURN_S,
    ) -> None:
        self._loader = loader
        self._try_again = try_again
        self._turn_s = turn_s
        self._on_change = on_change
        self._residency: Residency[object] = Residency(bound_bytes)
        self._threads = ThreadPoolExecutor(_LOADING_THREADS, thread_name_prefix="model-loader")
        self._trials = ThreadPoolExecutor(1, thread_name_prefix="model-trial")
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        self._room = asyncio.Lock()  # what is freed for one is not given to another
        self._news = asyncio.Event()  # replaced each time that something fell idle or was freed

    @property
    def held_bytes(self) -> int:
        """Memory that the versions are taken to hold, those that are being loaded included."""
        return self._residency.held_bytes

    @property
    def loaded(self) -> int:
        """Versions in memory, those that drain included."""
        # A copy: metrics are read in a thread of their own.
        return sum(isinstance(key, Resident) for key in list(self._residency))

    @property
    def bounded(self) -> bool:
        """Whether versions may have to go so that others can come."""
        return self._residency.bound_bytes > 0

    def hold(self, version: Version, model: Model, listing: Listing, size_bytes: int) -> Resident:
        """Puts a loaded model in the place of what the version was until now."""
        self.retire(version)
        resident = Resident(model, version, listing, size_bytes, self._fell_idle)
        version.resident, version.detail, version.proven = resident, "", True
        version.loaded, version.failures = listing, 0
        version.labels = model.decoder.entity_types
        version.window_tokens = model.tokenizer.window_tokens
        version.min_score = model.decoder.min_score
        self._residency.hold(resident, size_bytes)
        return resident

    def lease(self, resident: Resident) -> Resident:
        """Counts a user, and the use."""
        self._residency.touch(resident)
        return resident.lease()

    def load_now(self, version: Version, *, alone: bool = False) -> bool:
        """Loads a version in this thread, before there is an event loop; says whether it could.

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
            return False
        self.hold(version, model, version.found.listing, size_bytes)
        return True

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
            self._tell()

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
                self._tell()
            # It may have been given its lease in the instant in which it was called off.
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                waiter.result().end_lease()
            if isinstance(error, TimeoutError):
                raise DeadlineExceeded from None
            raise

    def retire(self, version: Version) -> None:
        """Takes a version out of use: no new calls; freed when those it has have ended."""
        resident, version.resident = version.resident, None
        if resident is None:
            return
        resident.leaving = True
        version.draining += 1
        if resident.users == 0:
            self._fell_idle(resident)

    async def drained(self, versions: list[Version]) -> None:
        """Waits until nothing that was retired of these is used or held any more."""
        while any(version.draining for version in versions):
            await self._news.wait()

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
        error: ModelInvalid | None = None
        while not (version.current or version.detail):
            found = version.found
            try:
                error = await self._fault(version)
            except _Unwanted:
                version.loading = None
                return
            if version.found == found:  # else its folder has changed meanwhile: once more
                version.detail = "" if error is None else str(error)
        version.loading = None
        if isinstance(error, LoadFailed) or (error is not None and version.is_known_good):
            self._spawn(self._pause(version))
        if version.resident is None:
            what = f"{version.name}/{version.version} cannot be loaded: {version.detail}"
            version.refuse(ModelNotFound(Reason.VERSION_NOT_FOUND, what))
        else:
            version.admit(version.resident)
        self._on_change()

    async def _pause(self, version: Version) -> None:
        """Lets a version that could not be loaded be tried again, unless its folder changes."""
        version.failures += 1
        failed = (version.found, version.failures)
        await asyncio.sleep(min(2 ** (version.failures - 1), _MOST_PAUSE_S))
        if version.detail and (version.found, version.failures) == failed:
            await self._try_again(version)

    async def _fault(self, version: Version) -> ModelInvalid | None:
        """Brings a version into memory; says why that failed."""
        try:
            await self._bring_in(version)
        except ModelInvalid as error:
            return error
        except _Unwanted:
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
            await self._take_room(version, place, size_bytes)
            if version.found != found:
                return  # what stands in its folder now has not been tried
            model = await self.beside(lambda: loader.load(found))
            if version.withdrawn:
                raise ModelInvalid("it was taken out of service while it was loaded")
            self._residency.drop(place)
            self.hold(version, model, found.listing, size_bytes)
        finally:
            self._residency.drop(place)
            self._tell()  # one that failed left room; one that nobody uses yet may make room

    def _fitting(self, version: Version) -> int:
        if version.found is None or self._loader is None:
            raise ModelInvalid("its folder has gone")
        size_bytes = self._loader.memory_bytes(version.found)
        if not self._residency.fits_at_all(size_bytes):
            raise ModelInvalid(
                f"it takes {size_bytes} bytes of memory, more than all models may:"
                " INFERENCE_MODEL_MEMORY_MIB allows more"
            )
        return size_bytes

    async def _take_room(self, version: Version, place: object, size_bytes: int) -> None:
        """Waits until there is room for a version, and holds its place."""
        loop = asyncio.get_running_loop()
        turn_ends_s, is_told = loop.time() + self._turn_s, False
        self._residency.line_up(place, size_bytes)
        while not await self._took_room(place, size_bytes):
            if not version.wanted:
                raise _Unwanted  # it would only keep out those behind it
            if loop.time() >= turn_ends_s:
                if not is_told:
                    name = {"model": version.name, "version": version.version}
                    _log.warning("model_waits_for_room", **name, bytes=size_bytes)
                turn_ends_s, is_told = loop.time() + self._turn_s, True
                self._residency.line_up(place, size_bytes)
                self._tell()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(turn_ends_s):
                    await self._news.wait()

    async def _took_room(self, place: object, size_bytes: int) -> bool:
        async with self._room:
            chosen = self._residency.to_evict(place, _is_idle)
            if chosen is None:
                return False
            await self._evict([one for one in chosen if isinstance(one, Resident)])
            self._residency.hold(place, size_bytes)
            return True

    async def _evict(self, residents: list[Resident]) -> None:
        for resident in residents:
            resident.leaving = True
            if resident.owner.resident is resident:
                resident.owner.resident = None
        if residents:
            self._on_change()
            await self._free(residents)

    def _fell_idle(self, resident: Resident) -> None:
        if resident.leaving:
            self._spawn(self._free_retired(resident))
        elif self._residency.awaited:
            self._tell()

    async def _free_retired(self, resident: Resident) -> None:
        try:
            await self._free([resident])
        finally:
            resident.owner.draining -= 1
            self._tell()
            self._on_change()

    async def _free(self, residents: list[Resident]) -> None:
        models = [resident.take() for resident in residents]
        try:
            if self._loader is not None:
                loader = self._loader
                await self.beside(lambda: loader.free(models))
        finally:
            for resident in residents:
                self._residency.drop(resident)
            self._tell()

    def _tell(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


class _Unwanted(Exception):
    """Whoever waited for a version has left before there was room for it."""


def _is_idle(key: object) -> bool:
    return isinstance(key, Resident) and key.users == 0 and not key.leaving
