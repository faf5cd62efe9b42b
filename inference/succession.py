"""Succession: how one version of a model takes over from another.

The next one is loaded and warmed first, becomes live in one step, and only then does the one before
leave. Where the next one cannot be loaded nothing changes but its reason.
"""

from collections.abc import Callable

from inference.model_memory import ModelMemory
from inference.routing import kept, preference
from inference.served_model import ServedModel, Version
from telemetry import logs

_log = logs.get_logger(__name__)


class Succession:
    """Decides which version of a model is live, and which others stay in memory.

    Args:
        memory: loads and frees.
        keep_versions: of each model, kept loaded without being asked for; 0: all.
        on_change: called after each change.
    """

    def __init__(
        self, memory: ModelMemory, keep_versions: int, on_change: Callable[[], None]
    ) -> None:
        self._memory = memory
        self._keep_versions = keep_versions
        self._on_change = on_change

    def begin(self, served: ServedModel, *, eager: bool, alone: bool) -> None:
        """Loads what must be at the start, in this thread, before there is an event loop.

        Args:
            served: the model.
            eager: whether it is loaded now; else it is when it is asked for.
            alone: it is the only version of the repository.
        """
        if served.routing_fault:
            _log.error("routing_refused", model=served.name, detail=served.routing_fault)
        for name in preference(served.versions, served.routing, ""):
            if not eager or self._memory.load_now(served.versions[name], alone=alone):
                served.live = name
                break
        if not eager or not served.live or self._memory.room.bounded:
            return
        for version in self._kept(served):
            if version.version != served.live and not version.detail:
                self._memory.load_now(version, alone=alone)

    async def settle(self, served: ServedModel) -> None:
        """Makes the best version live that can be, readies what must be, retires the rest.

        The caller holds the model's `changing`.
        """
        live = await self._best(served)
        if live != served.live:
            _log.info("model_live", model=served.name, version=live, before=served.live)
        served.live = live
        for version in served.versions.values():
            if version.found is None and version.version != live:
                version.withdrawn = True
                self._memory.room.retire(version)
        self._on_change()
        if self._memory.room.bounded or not live:
            return
        keep = self._kept(served)
        for version in keep:
            await self._ready(version)
        for version in served.versions.values():
            if version not in keep:
                self._memory.room.retire(version)

    def replace(self, served: ServedModel) -> None:
        """Chooses another live version where the present one turned out not to load."""
        if served.live and served.versions[served.live].answers:
            return
        order = preference(served.versions, served.routing, served.live)
        served.live = next((v for v in order if served.versions[v].answers), "")
        self._on_change()

    async def _best(self, served: ServedModel) -> str:
        """The version to be live, ready; empty if none can be."""
        on_disk = served.found.versions
        for name in preference(on_disk, served.routing, served.live):
            if await self._ready(served.versions[name]):
                return name
        present = served.versions.get(served.live)
        # Its folder has gone, but what should follow it cannot be loaded.
        return served.live if on_disk and present is not None and present.answers else ""

    def _kept(self, served: ServedModel) -> list[Version]:
        """What stays in memory without being asked for, lowest first."""
        names = kept(served.versions, served.routing, served.live, self._keep_versions)
        return [served.versions[name] for name in sorted(names & served.versions.keys())]

    async def _ready(self, version: Version) -> bool:
        """Whether a version can answer, after loading what its folder holds now."""
        # One that made room for others is loaded again when it is asked for.
        evicted = version.proven and self._memory.room.bounded and version.resident is None
        if version.answers and not version.current and not version.detail and not evicted:
            await self._memory.load(version)
        # Not whether it is in memory: it may have made room before this came to be run again.
        return version.answers
