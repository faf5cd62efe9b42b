"""Replicas of both services in processes of their own, each of which can be taken away."""

import asyncio
import signal
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.e2e.stack import WAIT_S, Ports, Process, free_ports, started

_SETTINGS = {
    "INFERENCE_WORKERS": "1",
    "INFERENCE_THREADS_PER_WORKER": "1",
    "INFERENCE_MODEL_CONTROL": "none",
    "INFERENCE_LOG_LEVEL": "info",
    "GATEWAY_LOG_LEVEL": "info",
    "GATEWAY_REQUEST_TIMEOUT_MS": "30000",
}


async def wait_until(condition: Callable[[], bool]) -> None:
    """Waits until something holds; fails when it does not."""
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110 - it lies in another process
            await asyncio.sleep(0.05)


class Member:
    """One process of a fleet, which may live several lives on the same port.

    Args:
        module: the service.
        folder: for what it says, a folder a life.
        ports: of all its lives.
        environment: of all its lives.
    """

    def __init__(
        self, module: str, folder: Path, ports: Ports, environment: dict[str, str]
    ) -> None:
        self._module, self._folder, self.ports = module, folder, ports
        self._environment = environment
        self._lives = 0
        self._life = ExitStack()
        self.process: Process | None = None

    async def start(self) -> None:
        """Begins a life, and waits until it listens."""
        self._lives += 1
        folder = self._folder / str(self._lives)
        self.process = process = self._life.enter_context(
            started(folder, self.ports, self._module, **self._environment)
        )
        await wait_until(lambda: self._listens(process))

    def _listens(self, process: Process) -> bool:
        said = process.said()
        assert process.process.poll() is None, said
        return f'"{self._module}_listening"' in said

    async def kill(self) -> None:
        """Takes it away: kill -9."""
        self.signal(signal.SIGKILL)
        await self._wait()

    async def terminate(self) -> int:
        """Ends it in good order; gives the exit code."""
        self.signal(signal.SIGTERM)
        return await self._wait()

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal."""
        assert self.process is not None
        self.process.process.send_signal(number)

    def close(self) -> None:
        """Ends its life, however it stands."""
        self._life.close()

    async def _wait(self) -> int:
        assert self.process is not None
        popen = self.process.process
        await wait_until(lambda: popen.poll() is not None)
        self._life.close()
        return int(popen.returncode)


class Fleet:
    """Replicas of inference and gateways; a context, which ends all of them.

    Args:
        folder: for what they say; the models stand in its folder `models`.
        replicas: of inference.
        gateways: each knows every replica.
    """

    def __init__(self, folder: Path, replicas: int, gateways: int) -> None:
        settings = {**_SETTINGS, "INFERENCE_MODELS_DIR": str(folder / "models")}
        self.replicas = [
            Member("inference", folder / f"inference-{i}", free_ports(), settings)
            for i in range(replicas)
        ]
        target = self.target([replica.ports.grpc_address for replica in self.replicas])
        self.gateways = [
            Member("gateway", folder / f"gateway-{i}", free_ports(), {**settings, **target})
            for i in range(gateways)
        ]

    @staticmethod
    def target(addresses: Sequence[str]) -> dict[str, str]:
        """What lets a gateway know these addresses, as DNS would."""
        return {"GATEWAY_INFERENCE_TARGET": f"ipv4:{','.join(addresses)}"}

    @property
    def urls(self) -> list[str]:
        """Where the gateways serve REST."""
        return [gateway.ports.url for gateway in self.gateways]

    async def start(self) -> None:
        """Starts all of them, the gateways first: any order will do."""
        members = [*self.gateways, *self.replicas]
        await asyncio.gather(*(member.start() for member in members))

    def __enter__(self) -> Self:
        """Nothing runs yet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends every process."""
        for member in [*self.gateways, *self.replicas]:
            member.close()
