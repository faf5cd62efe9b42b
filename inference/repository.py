"""The models that this process serves: which answers a call, and every change while it serves.

    models/<name>/<version>/  model.onnx  tokenizer.json  config.json  [manifest.json]
    models/<name>/routing.json

Rules:
  1. A call holds a lease on the version that answers it; what is in use is never freed.
  2. A version is loaded and warmed beside the one that answers, and becomes live in one step. The
     one before drains, and is freed when its last call has ended.
  3. A version that cannot be loaded is listed with the reason; what answered goes on answering,
     even if its own folder has gone, until the model has no folder of a version left. It is tried
     again when its folder changes; also in between where its content may not be at fault, beside
     what answers: until it is loaded it has failed.
  4. However many calls wait for a version, it is loaded once; if that fails, all hear the reason.
  5. With a memory bound, versions are loaded when they are asked for, and the least recently used
     one that nobody uses makes room.
"""

import random
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from inference.catalogue import FoundModel
from inference.errors import ModelInvalid, ModelNotFound, Reason, SourceUnreadable
from inference.folder_files import Listing
from inference.loader import Loader
from inference.model import Model
from inference.model_memory import ModelMemory
from inference.served_model import Resident, ServedModel, Version
from inference.succession import Succession
from inference.version_folder import LoadRules
from inference.version_state import VersionState
from telemetry import logs

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Model", "Policy", "Repository", "VersionState"]

_log = logs.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Policy:
    """What is kept in memory."""

    memory_bytes: int = 0  # most of all models together; 0: all is loaded at the start
    keep_versions: int = 0  # of each model, kept loaded without being asked for; 0: all


class Repository:
    """The models that this process serves; used on one event loop.

    Args:
        versions: versions that are there already.
        default_model: answers calls that name no model.
        loader: loads further ones; none: nothing changes.
        policy: what is kept in memory.
    """

    def __init__(
        self,
        versions: list[VersionState],
        default_model: str,
        loader: Loader | None = None,
        policy: Policy | None = None,
    ) -> None:
        self.default_model = default_model
        self.policy = policy or Policy()
        self.loader = loader
        self.memory = ModelMemory(loader, self.policy.memory_bytes, self._changed, self._try_again)
        self.on_change: Callable[[], None] = _nothing  # after each change of a state
        self.random: Callable[[], float] = random.random  # in [0, 1), for shares
        self._succession = Succession(self.memory, self.policy.keep_versions, self._changed)
        self._models: dict[str, ServedModel] = {}
        for state in versions:
            self._seed(state)

    @classmethod
    def load(
        cls,
        folder: Path,
        default_model: str,
        window_tokens: int,
        threads: int,
        policy: Policy | None = None,
    ) -> "Repository":
        """Opens a repository whose versions are trusted not to end this process; see `open`.

        Args:
            folder: the repository.
            default_model: answers calls that name no model; empty: the first by name.
            window_tokens: longest window of a long text.
            threads: cores that one model run uses.
            policy: what is kept in memory; by default every version.

        Raises:
            ModelInvalid: the folder holds no model that can be served, or not the default.
        """
        loader = Loader(LoadRules(folder, window_tokens, threads))
        return cls.open(loader, default_model, policy or Policy())

    @classmethod
    def open(cls, loader: Loader, default_model: str, policy: Policy) -> "Repository":
        """Loads what a repository folder holds, before anything is served; waits for it.

        With a memory bound only the default model is loaded; the others when they are asked for.

        Args:
            loader: of the folder.
            default_model: answers calls that name no model; empty: the first by name.
            policy: what is kept in memory.

        Raises:
            ModelInvalid: the folder holds no model that can be served, or not the default.
        """
        if not loader.root.is_dir():
            raise ModelInvalid(f"{loader.root}: no such folder; INFERENCE_MODELS_DIR names it")
        repository = cls([], default_model, loader, policy)
        try:
            repository._fill(repository._first_scan(loader))
        finally:
            loader.close()  # the next version to be tried starts a child of its own
        return repository

    def start(self) -> None:
        """Begins what needs an event loop, on which it is called."""
        self.memory.start()

    @property
    def versions(self) -> list[VersionState]:
        """Every version found, failed ones included, by name and version."""
        return [state for _, served in sorted(self._models.items()) for state in served.states()]

    @property
    def found(self) -> dict[str, FoundModel]:
        """What of the repository's folder is served, by model."""
        return {name: served.found for name, served in self._models.items()}

    def served_names(self) -> list[str]:
        """The models that answer calls, by name."""
        return sorted(name for name, served in self._models.items() if served.live)

    def served(self, name: str) -> ServedModel:
        """Finds a model that answers calls.

        Args:
            name: empty for the default model.

        Raises:
            ModelNotFound: there is none.
        """
        found = self._models.get(name or self.default_model)
        if found is None or not found.live:
            raise ModelNotFound(
                Reason.MODEL_NOT_FOUND,
                f"no such model; served are {', '.join(self.served_names())}",
            )
        return found

    def find(self, name: str, version: str) -> Version:
        """Finds the version that would answer a call, in memory or not: only for a look at it.

        Args:
            name: empty for the default model.
            version: a version or an alias; empty for the live version.

        Raises:
            ModelNotFound: there is none.
        """
        return self.served(name).choose(version, random=1.0)

    def get(self, name: str, version: str) -> Model:
        """Finds a model that is in memory, without a lease: only for a look at it.

        Args:
            name: empty for the default model.
            version: a version or an alias; empty for the live version.

        Raises:
            ModelNotFound: there is none, or it is not in memory.
        """
        found = self.find(name, version)
        if found.resident is None:
            detail = f"{found.name}/{found.version} is not in memory: a call loads it"
            raise ModelNotFound(Reason.VERSION_NOT_FOUND, detail)
        return found.resident.model

    async def lease(self, name: str, version: str, expires_ns: int | None = None) -> Resident:
        """Finds the version that answers a call, loads it if need be, and keeps it in memory.

        Cancelling it gives up the place of this call alone; the version is loaded nevertheless, if
        it need not wait for room.

        Args:
            name: empty for the default model.
            version: a version or an alias; empty for the live version or the canary's share.
            expires_ns: the caller's deadline on `time.monotonic_ns`; none waits for ever.

        Returns:
            A lease, to be ended with `end_lease` or by leaving its `with`.

        Raises:
            ModelNotFound: there is none, or it cannot be loaded.
            DeadlineExceeded: it was not loaded in time.
            QueueFull: too many calls wait for it already.
        """
        while True:
            served = self.served(name)
            try:
                found = served.choose(version, self.random())
                if found.resident is not None:
                    return self.memory.room.lease(found.resident)
                return await self.memory.wait_for(found, expires_ns)
            except ModelNotFound:
                if version:
                    raise
                # A call that names no version is answered by the next that can.
                self._succession.replace(served)

    async def apply(self, name: str, found: FoundModel, *, anew: bool = False) -> None:
        """Follows a change of a model's folder.

        Args:
            name: the model's.
            found: what stands in its folder; nothing if that has gone.
            anew: versions that failed or were unloaded on request are loaded again.
        """
        served = self._models.setdefault(name, ServedModel(name))
        async with served.changing:
            served.adopt(found)
            if anew:
                for version in served.versions.values():
                    if version.found is not None:
                        version.withdrawn, version.detail = False, ""
            for version in list(served.versions.values()):
                if version.withdrawn:
                    self.memory.room.retire(version)
            await self._succession.settle(served)
            self._forget(served)
            self._changed()

    async def withdraw(self, name: str) -> None:
        """Takes a model out of service and waits until its calls have ended.

        Cancelling it does not bring the model back.

        Args:
            name: the model's.

        Raises:
            ModelNotFound: there is none.
        """
        served = self._models.get(name)
        if served is None:
            raise ModelNotFound(Reason.MODEL_NOT_FOUND, "no such model in the repository")
        async with served.changing:
            served.live = ""
            for version in served.versions.values():
                version.withdrawn = True
                self.memory.room.retire(version)
            self._changed()
        await self.memory.room.drained(list(served.versions.values()))

    async def aclose(self) -> None:
        """Ends loading; calls that wait for it hear that the service ends."""
        every = [v for served in self._models.values() for v in served.versions.values()]
        await self.memory.aclose(every)

    async def _try_again(self, version: Version) -> None:
        """Loads a version that could not be loaded beside what answers, then gives it its place.

        Under a memory bound one that nothing else of its model answers for is left to a call.
        """
        served = self._models.get(version.name)
        if served is None:
            return
        if self.memory.room.bounded and version.proven and not served.answering():
            version.detail = ""
        else:
            # Before the model is changed: no other change should wait for a load that may fail.
            await self.memory.load(version)
        if version.detail:
            return
        async with served.changing:
            await self._succession.settle(served)
            self._forget(served)
            self._changed()

    def _forget(self, served: ServedModel) -> None:
        """Drops the versions whose folders have gone and that nobody uses, and empty models."""
        for name, version in list(served.versions.items()):
            if version.over:
                del served.versions[name]
        if not served.versions:
            self._models.pop(served.name, None)

    @staticmethod
    def _first_scan(loader: Loader) -> dict[str, FoundModel]:
        try:
            return loader.scan()
        except SourceUnreadable as error:
            # What was fetched before is served; without any the caller hears of both.
            _log.error("models_not_refreshed", detail=str(error))
            found = loader.scan_folder()
            if not found:
                raise ModelInvalid(str(error)) from error
            return found

    def _fill(self, found: dict[str, FoundModel]) -> None:
        alone = sum(len(model.versions) for model in found.values()) == 1
        default = self.default_model
        for name in sorted(found):
            served = ServedModel(name)
            served.adopt(found[name], proven=True)
            self._models[name] = served
            # The default model is in memory from the start: where none is named, the first that
            # can be.
            eager = not self.memory.room.bounded or name == (default or name)
            self._succession.begin(served, eager=eager, alone=alone)
            default = default or (name if served.live else "")
        names = self.served_names()
        if not names:
            raise ModelInvalid(self._nothing_served())
        if self.default_model and self.default_model not in names:
            raise ModelInvalid(
                f"{self.default_model}: the default model (INFERENCE_DEFAULT_MODEL) is not served;"
                f" served are {', '.join(names)}"
            )
        self.default_model = self.default_model or names[0]

    def _seed(self, state: VersionState) -> None:
        served = self._models.setdefault(state.name, ServedModel(state.name))
        version = Version(state.name, state.version, detail=state.detail)
        served.versions[state.version] = version
        if state.model is not None:
            self.memory.room.hold(version, state.model, Listing(), 0)
        if state.live:
            served.live = state.version

    def _nothing_served(self) -> str:
        folder = self.loader.root if self.loader else ""
        failed = "; ".join(f"{s.name}/{s.version}: {s.detail}" for s in self.versions)
        if not failed:
            return f"{folder}: no model; expected <name>/<version>/model.onnx"
        return f"{folder}: no model can be served: {failed}"

    def _changed(self) -> None:
        for served in list(self._models.values()):
            if not served.changing.locked():
                self._forget(served)
        self.on_change()


def _nothing() -> None:
    """Nobody listens."""
