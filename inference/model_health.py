"""`grpc.health.v1` for the process, the service and each model, as they change."""

import asyncio

from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio as health_aio  # type: ignore[attr-defined]  # stubs lack it

from inference.repository import Repository

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING

# What clients that balance by themselves watch: whether to send calls to this process at all,
# whatever models it has. The gateway holds the same name.
REPLICA = "nerve.replica"


class ModelHealth:
    """Tells who asks whether a model answers; owned by who calls `enter_graceful_shutdown`.

    Args:
        repository: of the models.
        service: healthy, like the server as a whole (""), while any model answers.
    """

    def __init__(self, repository: Repository, *services: str) -> None:
        self.servicer = health_aio.HealthServicer()
        self._repository = repository
        self._services = ("", *services)
        self._told: dict[str, bool] = {}
        self._able = True
        self._leaving = False
        self._changed = asyncio.Event()
        self._following: asyncio.Task[None] | None = None

    @property
    def able(self) -> bool:
        """Whether the process is able to answer, whatever models it has."""
        return self._able and not self._leaving

    async def start(self) -> None:
        """Declares what answers now, and follows the changes from here on."""
        self._repository.on_change = self._changed.set
        await self._tell()
        self._following = asyncio.create_task(self._follow())

    def declare(self, *, able: bool) -> None:
        """Says whether the process is able to answer; while it is not, nothing of it is healthy."""
        self._able = able
        self._changed.set()

    async def enter_graceful_shutdown(self) -> None:
        """Declares that nothing answers any more, for good."""
        self._leaving = True
        self._repository.on_change = _nothing
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
        await self.servicer.enter_graceful_shutdown()

    async def _follow(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self._tell()

    async def _tell(self) -> None:
        names = self._repository.served_names() if self._able else []
        now = dict.fromkeys(self._told, False) | {REPLICA: self._able}
        now |= dict.fromkeys(self._services, bool(names)) | dict.fromkeys(names, True)
        for name, answers in now.items():
            if self._told.get(name) != answers:
                await self.servicer.set(name, _SERVING if answers else _NOT_SERVING)
        self._told = now


def _nothing() -> None:
    """Nobody listens."""
