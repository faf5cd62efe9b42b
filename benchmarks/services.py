"""Both services in processes of their own, for the time of a measurement."""

import os
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx
import psutil

from benchmarks.cores import pinned
from benchmarks.counters import Counters, read_counters
from nerve.ports import Listener, find_free

_ROOT = Path(__file__).parent.parent
_HOST = "127.0.0.1"
_START_TIMEOUT_S = 60
_STOP_TIMEOUT_S = 40
_MIB = 2**20

_PREFIXES = ("INFERENCE_", "GATEWAY_")
_MASK = "***"
# A line for each request would be measured with it.
_QUIET = {"INFERENCE_LOG_LEVEL": "warning", "GATEWAY_LOG_LEVEL": "warning"}
# A closed loop keeps more under way than a person would wait for; none of it is refused.
UNBOUNDED: Mapping[str, str] = {
    "INFERENCE_MAX_WAIT_MS": "0",
    # 128 callers of 32 texts have as many tokens under way as the default takes.
    "INFERENCE_QUEUE_TOKENS": "1048576",
}


@dataclass(frozen=True, slots=True)
class Service:
    """One service: its process and those that it started."""

    process: psutil.Process

    def tree(self) -> list[psutil.Process]:
        """All its processes."""
        return [self.process, *self.process.children(recursive=True)]

    def cpu_s(self) -> float:
        """Processor seconds used so far."""
        return float(sum(sum(process.cpu_times()[:2]) for process in self.tree()))

    def memory_mib(self) -> float:
        """Memory held now."""
        return float(sum(process.memory_info().rss for process in self.tree())) / _MIB

    def peak_memory_mib(self) -> float:
        """The most memory held since the start; where the system does not say, what is held now."""
        return sum(_peak_bytes(process) for process in self.tree()) / _MIB

    def threads(self) -> int:
        """Threads now."""
        return sum(process.num_threads() for process in self.tree())

    def descriptors(self) -> int:
        """Open file descriptors now."""
        return sum(process.num_fds() for process in self.tree())


@dataclass(frozen=True, slots=True)
class Services:
    """The running services.

    Attributes:
        settings: what they were told, where it is not where they listen; without secrets.
    """

    inference: Service
    gateway: Service
    grpc_authority: str
    rest_authority: str
    metrics_url: str
    settings: Mapping[str, str]

    def counters(self) -> Counters:
        """What the inference service has counted so far."""
        return read_counters(httpx.get(self.metrics_url, timeout=30).text)

    def gateway_counters(self) -> Counters:
        """What the gateway has counted so far."""
        return read_counters(httpx.get(f"http://{self.rest_authority}/metrics", timeout=30).text)

    def bulk_is_known(self) -> bool:
        """Whether the gateway's requests may say `priority`."""
        schema = httpx.get(f"http://{self.rest_authority}/openapi.json", timeout=30).json()
        body = schema["components"]["schemas"].get("RecognizeBody", {})
        return "priority" in body.get("properties", {})


@contextmanager
def started(
    models: Path,
    messages: IO[bytes] | None = None,
    settings: Mapping[str, str] = UNBOUNDED,
    cores: Collection[int] = (),
) -> Iterator[Services]:
    """Starts both services, waits until they answer, and stops them at the end.

    The environment is handed on, so that a setting can be tried: INFERENCE_WORKERS=1 and so on.

    Args:
        models: the model repository.
        messages: where their messages go; none: to standard error.
        settings: variables that differ from the defaults of the services.
        cores: those that the services may use; none: all that this process may.

    Raises:
        RuntimeError: one of them ended; its message stands on standard error.
        TimeoutError: they did not become ready.
    """
    ports = [found.port for found in find_free(*[Listener(_HOST, 0, "")] * 3)]
    grpc_authority, rest_authority, metrics = (f"{_HOST}:{port}" for port in ports)
    where = {
        "INFERENCE_MODELS_DIR": str(models),
        "INFERENCE_HOST": _HOST,
        "INFERENCE_PORT": str(ports[0]),
        "INFERENCE_METRICS_PORT": str(ports[2]),
        "GATEWAY_HOST": _HOST,
        "GATEWAY_PORT": str(ports[1]),
        "GATEWAY_INFERENCE_TARGET": f"dns:///{grpc_authority}",
    }
    environment = os.environ  # noqa: TID251 - handed on to the services
    chosen = {**environment, **_QUIET, **settings}
    with pinned(cores):
        children = [
            subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", name], cwd=_ROOT, env=chosen | where, stderr=messages
            )
            for name in ("inference", "gateway")
        ]
    try:
        inference, gateway = (Service(psutil.Process(child.pid)) for child in children)
        _wait_until_ready(rest_authority, children)
        yield Services(
            inference,
            gateway,
            grpc_authority,
            rest_authority,
            f"http://{metrics}/metrics",
            recorded({name: value for name, value in chosen.items() if name not in where}),
        )
    finally:
        _stop(children)


def recorded(environment: Mapping[str, str]) -> dict[str, str]:
    """The settings of the services in an environment, as they may stand in a published result."""
    return {
        # An address with an @ or a ? may hold a password.
        name: _MASK if "@" in value or "?" in value else value
        for name, value in sorted(environment.items())
        if name.startswith(_PREFIXES)
    }


def _stop(children: list[subprocess.Popen[bytes]]) -> None:
    # The gateway first: it still has calls to the other one.
    for child in reversed(children):
        child.terminate()
    for child in children:
        try:
            child.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _wait_until_ready(authority: str, children: list[subprocess.Popen[bytes]]) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        if any(child.poll() is not None for child in children):
            raise RuntimeError("a service ended while it started: see its message above")
        try:
            if httpx.get(f"http://{authority}/readyz").is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise TimeoutError(f"the services did not become ready within {_START_TIMEOUT_S} s")


def _peak_bytes(process: psutil.Process) -> int:
    status = Path(f"/proc/{process.pid}/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return int(process.memory_info().rss)
