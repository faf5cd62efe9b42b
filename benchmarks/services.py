"""Both services in processes of their own, for the time of a measurement."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

_ROOT = Path(__file__).parent.parent
_GRPC_PORT, _HTTP_PORT, _METRICS_PORT = 50951, 8981, 9981
_START_TIMEOUT_S = 60
_STOP_TIMEOUT_S = 30


@dataclass(frozen=True, slots=True)
class Services:
    """The running services."""

    processes: list[psutil.Process]
    url: str = f"http://127.0.0.1:{_HTTP_PORT}"
    grpc_address: str = f"127.0.0.1:{_GRPC_PORT}"

    def cpu_s(self) -> float:
        """Processor seconds that both have used."""
        return float(sum(sum(process.cpu_times()[:2]) for process in self.processes))

    def memory_mib(self) -> float:
        """Memory that both hold now."""
        return float(sum(process.memory_info().rss for process in self.processes)) / 2**20


@contextmanager
def started(models: Path) -> Iterator[Services]:
    """Starts both services, waits until they answer, and stops them at the end.

    Args:
        models: the model repository.

    Raises:
        TimeoutError: they did not become ready; their messages stand on standard error.
    """
    environment = os.environ | {  # noqa: TID251 - handed on to the services
        "INFERENCE_MODELS_DIR": str(models),
        "INFERENCE_PORT": str(_GRPC_PORT),
        "INFERENCE_METRICS_PORT": str(_METRICS_PORT),
        "INFERENCE_LOG_LEVEL": "warning",
        "GATEWAY_PORT": str(_HTTP_PORT),
        "GATEWAY_INFERENCE_TARGET": f"dns:///127.0.0.1:{_GRPC_PORT}",
        "GATEWAY_LOG_LEVEL": "warning",
    }
    children = [
        subprocess.Popen([sys.executable, "-m", name], cwd=_ROOT, env=environment)  # noqa: S603
        for name in ("inference", "gateway")
    ]
    try:
        services = Services([psutil.Process(child.pid) for child in children])
        _wait_until_ready(services.url)
        yield services
    finally:
        for child in children:
            child.terminate()
        for child in children:
            child.wait(_STOP_TIMEOUT_S)


def _wait_until_ready(url: str) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/readyz").is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise TimeoutError("the services did not become ready")
