"""One model that is served: its versions, which of them is live, and who uses what.

Lives on one event loop; only the loading and freeing that the repository does leaves it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType

from inference.catalogue import FoundModel, FoundVersion
from inference.errors import ModelNotFound, Reason, RecognitionError
from inference.folder_files import Listing
from inference.model import Model
from inference.routing import LIVE, Routing, version_order
from inference.version_state import NOT_KNOWN_YET, State, Traits, VersionState


class Resident:
    """A version in memory; entered by each call that uses it, and freed when the last has left.

    Args:
        model: the loaded version.
        owner: the version that it is of.
        listing: the content that it was loaded from.
        size_bytes: memory that it is taken to hold.
        on_idle: called each time that nobody uses it any more.
    """

    __slots__ = ("_model", "_on_idle", "leaving", "listing", "owner", "size_bytes", "users")

    def __init__(
        self,
        model: Model,
        owner: "Version",
        listing: Listing,
        size_bytes: int,
        on_idle: Callable[["Resident"], None],
    ) -> None:
        self._model: Model | None = model
        self._on_idle = on_idle
        self.owner = owner
        self.listing = listing
        self.size_bytes = size_bytes
        self.users = 0  # leases given and not yet ended
        self.leaving = False  # gets no new users, and is freed without the present ones

    @property
    def model(self) -> Model:
        """The loaded version.

        Raises:
            RuntimeError: it was freed; whoever holds a lease never sees this.
        """
        if self._model is None:
            raise RuntimeError("the version was freed while somebody used it")
        return self._model

    def lease(self) -> "Resident":
        """Counts a user, who leaves with `__exit__` or `end_lease`."""
        self.users += 1
        return self

    def end_lease(self) -> None:
        """Counts a user less."""
        self.users -= 1
        if self.users == 0:
            self._on_idle(self)

    def take(self) -> Model | None:
        """Gives the model away, to be freed elsewhere."""
        model, self._model = self._model, None
        return model

    def __enter__(self) -> Model:
        return self.model

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end_lease()


@dataclass(slots=True, eq=False)
class Version:
    """One version of a model, in memory or not."""

    name: str
    version: str
    found: FoundVersion | None = None  # none: its folder has gone
    resident: Resident | None = None
    detail: str = ""  # why the present content of its folder cannot be loaded
    loaded: Listing | None = None  # the content that was last in memory
    failures: int = 0  # loads of the present content that failed and were then tried again
    proven: bool = False  # has been loaded, or stood there at the start: may become live
    withdrawn: bool = False  # unloaded on request, or its folder has gone: answers nobody
    draining: int = 0  # contents of it that have left and are still used
    loading: "asyncio.Task[None] | None" = None
    waiters: "list[asyncio.Future[Resident]]" = field(default_factory=list)
    followers: int = 0  # who wait for it to be loaded, and need no lease
    traits: Traits = NOT_KNOWN_YET

    @property
    def answers(self) -> bool:
        """Whether a call that names it is answered, perhaps after loading it."""
        loadable = self.found is not None and not self.detail
        return not self.withdrawn and (self.resident is not None or loadable)

    @property
    def is_known_good(self) -> bool:
        """Whether the present content of its folder has been in memory."""
        return self.found is not None and self.found.listing == self.loaded

    @property
    def wanted(self) -> bool:
        """Whether anybody waits for it to be loaded."""
        return bool(self.waiters) or self.followers > 0

    @property
    def over(self) -> bool:
        """Whether its folder has gone, and nothing of it is used or held any more."""
        return self.found is None and self.withdrawn and not self.draining

    @property
    def current(self) -> bool:
        """Whether what is in memory is the present content of its folder."""
        return self.resident is not None and (
            self.found is None or self.resident.listing == self.found.listing
        )

    def admit(self, resident: Resident) -> None:
        """Gives each call that waits its lease at once, so that nothing is evicted in between."""
        waiters, self.waiters = self.waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(resident.lease())

    def refuse(self, error: RecognitionError) -> None:
        """Tells each call that waits why it cannot be answered."""
        waiters, self.waiters = self.waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_exception(error)

    @property
    def standing(self) -> State:
        """Its state."""
        if self.resident is not None:
            return State.READY
        if self.loading is not None and not self.detail:
            return State.LOADING
        if self.draining:
            return State.DRAINING
        return State.FAILED if self.detail else State.UNLOADED


@dataclass(slots=True, eq=False)
class ServedModel:
    """A model: its versions and the one that is live."""

    name: str
    versions: dict[str, Version] = field(default_factory=dict)
    routing: Routing = field(default_factory=Routing)
    routing_fault: str = ""
    live: str = ""  # empty: no version can answer
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)  # one change at a time

    def choose(self, asked: str, random: float) -> Version:
        """Finds the version that answers a call.

        Args:
            asked: version, alias or nothing.
            random: in [0, 1), for the share of a canary.

        Raises:
            ModelNotFound: there is no such version, or it cannot be loaded.
        """
        chosen = self.versions.get(self.routing.version_for(asked, self.live, random))
        if (chosen is None or not chosen.answers) and not asked:
            chosen = self.versions[self.live]  # a canary that cannot answer costs no call
        if chosen is None or not chosen.answers:
            raise ModelNotFound(
                Reason.VERSION_NOT_FOUND,
                f"no such version of {self.name}; served are {', '.join(self.answering())}",
            )
        return chosen

    def answering(self) -> list[str]:
        """The versions that answer calls, lowest first."""
        return sorted((v for v, found in self.versions.items() if found.answers), key=version_order)

    def adopt(self, found: FoundModel, *, proven: bool = False) -> None:
        """Takes over what stands on disk: new versions, changed contents, those that have gone.

        Args:
            found: the model's folder.
            proven: whether new versions may be live before they are loaded.
        """
        for version in found.versions.keys() - self.versions.keys():
            self.versions[version] = Version(self.name, version, proven=proven)
        for version, known in self.versions.items():
            seen = found.versions.get(version)
            if seen != known.found:
                known.found, known.detail, known.failures = seen, "", 0
                # The live one answers until another can.
                known.withdrawn = seen is None and version != self.live
                known.proven = proven
        self.routing, self.routing_fault = found.routing, found.routing_fault

    @property
    def found(self) -> FoundModel:
        """What stood on disk when it was last looked at, as far as it was acted upon."""
        versions = {name: v.found for name, v in self.versions.items() if v.found is not None}
        return FoundModel(versions, self.routing, self.routing_fault)

    def states(self) -> list[VersionState]:
        """Its versions as a caller sees them, lowest first."""
        ordered = sorted(self.versions.values(), key=lambda v: version_order(v.version))
        return [self._state(version) for version in ordered if not version.over]

    def _state(self, version: Version) -> VersionState:
        resident = version.resident
        live = version.version == self.live
        aliases = {a for a, named in self.routing.aliases.items() if named == version.version}
        aliases = aliases | {LIVE} if live else aliases - {LIVE}
        return VersionState(
            self.name,
            version.version,
            live,
            resident.model if resident else None,
            version.detail or (self.routing_fault if live else ""),
            version.standing,
            tuple(sorted(aliases)),
            version.traits,
            resident.size_bytes if resident else 0,
            bool(self.live) and version.answers,
        )
