"""The versions that are in memory, under a bound: who must wait for room, and who makes it.

Every decision is made on the event loop; freeing itself runs elsewhere.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

from inference.folder_files import Listing
from inference.model import Model
from inference.residency import Residency
from inference.served_model import Resident, Version
from inference.version_state import Traits
from telemetry import logs

_log = logs.get_logger(__name__)

# Calls end in a fraction of this: what has found no room by then waits for what never rests.
TURN_S = 10.0


class Unwanted(Exception):
    """Whoever waited for a version has left before there was room for it."""


class ModelRoom:
    """Holds what is loaded until nobody uses it, and the bound of all together.

    Args:
        bound_bytes: most memory of all versions together; 0: no bound.
        free: frees models that nobody uses, and empties their list.
        spawn: runs what goes on while others are served.
        on_change: called after each change of a version's state.
        turn_s: how long one that waits for room keeps it from those behind.
    """

    def __init__(
        self,
        bound_bytes: int,
        free: Callable[[list[Model | None]], Awaitable[None]],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        on_change: Callable[[], None],
        turn_s: float = TURN_S,
    ) -> None:
        self._residency: Residency[object] = Residency(bound_bytes)
        self._free_models = free
        self._spawn = spawn
        self._on_change = on_change
        self._turn_s = turn_s
        self._one = asyncio.Lock()  # what is freed for one is not given to another
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

    def fits_at_all(self, size_bytes: int) -> bool:
        """Whether so much could be held if nothing else were."""
        return self._residency.fits_at_all(size_bytes)

    def hold(
        self,
        version: Version,
        model: Model,
        listing: Listing,
        size_bytes: int,
        place: object = None,
    ) -> Resident:
        """Puts a loaded model in the place of what the version was until now.

        Args:
            version: that it is of.
            model: the loaded version.
            listing: the content that it was loaded from.
            size_bytes: memory that it is taken to hold.
            place: what was counted until now, if it had to be taken.
        """
        self.retire(version)
        resident = Resident(model, version, listing, size_bytes, self._fell_idle)
        version.resident, version.detail, version.proven = resident, "", True
        version.loaded, version.failures = listing, 0
        version.traits = Traits.of(model)
        self._residency.replace(place, resident, size_bytes)
        return resident

    def lease(self, resident: Resident) -> Resident:
        """Counts a user, and the use."""
        self._residency.touch(resident, was_idle=resident.users == 0)
        return resident.lease()

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

    async def take(self, version: Version, place: object, size_bytes: int) -> None:
        """Waits until there is room for a version that is to be loaded, and holds it.

        Args:
            version: that somebody waits for.
            place: what is counted while there is no model yet, until `hold` or `leave`.
            size_bytes: of the model.

        Raises:
            Unwanted: nobody waits for the version any more.
        """
        loop = asyncio.get_running_loop()
        turn_ends_s, is_told = loop.time() + self._turn_s, False
        self._residency.line_up(place, size_bytes)
        while not await self._took(place, size_bytes):
            if not version.wanted:
                raise Unwanted  # it would only keep out those behind it
            if loop.time() >= turn_ends_s:
                if not is_told:
                    name = {"model": version.name, "version": version.version}
                    _log.warning("model_waits_for_room", **name, bytes=size_bytes)
                turn_ends_s, is_told = loop.time() + self._turn_s, True
                self._residency.line_up(place, size_bytes)
                self.tell()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(turn_ends_s):
                    await self._news.wait()

    def leave(self, place: object) -> None:
        """Counts a place no longer, if it still is: its model will not be there."""
        self._residency.drop(place)

    def tell(self) -> None:
        """Lets those that wait look again: somebody left, or something can be freed."""
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def _took(self, place: object, size_bytes: int) -> bool:
        async with self._one:
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
            self.tell()

    async def _free_retired(self, resident: Resident) -> None:
        try:
            await self._free([resident])
        finally:
            resident.owner.draining -= 1
            self.tell()
            self._on_change()

    async def _free(self, residents: list[Resident]) -> None:
        models = [resident.take() for resident in residents]
        try:
            await self._free_models(models)
        finally:
            for resident in residents:
                self._residency.drop(resident)
            self.tell()


def _is_idle(key: object) -> bool:
    return isinstance(key, Resident) and key.users == 0 and not key.leaving
