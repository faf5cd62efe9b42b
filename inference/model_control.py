"""Loading and unloading models on a caller's request."""

from inference.errors import ModelInvalid, ModelNotFound, Reason
from inference.loader import Loader
from inference.repository import Repository
from inference.routing import preference


class ModelControl:
    """What a caller may change of a repository.

    Args:
        repository: to be changed.
        loader: looks at its folder.
    """

    def __init__(self, repository: Repository, loader: Loader) -> None:
        self._repository = repository
        self._loader = loader

    async def load(self, name: str) -> None:
        """Loads what stands in a model's folder now; what answers goes on until that is ready.

        Args:
            name: the model's.

        Raises:
            ModelNotFound: it has no folder.
            ModelInvalid: the version that should be live cannot be loaded; the old one stays live.
        """
        repository, loader = self._repository, self._loader
        found = await repository.memory.beside(lambda: loader.scan_model(name))
        if not found.versions:
            raise ModelNotFound(Reason.MODEL_NOT_FOUND, "no such model in the repository")
        if found.routing_fault:
            raise ModelInvalid(found.routing_fault)
        await repository.apply(name, found, anew=True)
        wanted = preference(found.versions, found.routing, "")[0]
        (state,) = [v for v in repository.versions if (v.name, v.version) == (name, wanted)]
        if state.detail:
            raise ModelInvalid(f"{name}/{wanted}: {state.detail}")
        lease = await repository.lease(name, wanted)  # with a memory bound it may not be in memory
        lease.end_lease()

    async def unload(self, name: str) -> None:
        """Takes a model out of service, and waits until its calls have ended.

        Cancelling it does not bring the model back.

        Args:
            name: the model's.

        Raises:
            ModelNotFound: there is none.
        """
        await self._repository.withdraw(name)
