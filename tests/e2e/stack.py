"""The services in processes of their own, started as a user starts them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import httpx
import psutil

from tests.plain_http import NO_TLS
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
_HOST = "127.0.0.1"
# Far more than anything takes on a busy machine: a hang fails, slowness does not.
WAIT_S = 60.0

# How the cores are shared: measuring it takes nearly half of a start.
SPLIT = {"INFERENCE_WORKERS": "2", "INFERENCE_THREADS_PER_WORKER": "1"}


class StreamItems(NamedTuple):
    """How many items of a stream each service holds."""

    gateway: int
    inference: int


FEW_ITEMS = StreamItems(16, 8)


@dataclass(frozen=True, slots=True)
class Ports:
    """Free ports, and the environment that makes the services use them and nothing else."""

    gateway: int
    inference: int
    metrics: int

    @property
    def url(self) -> str:
        """Where REST is served."""
        return f"http://{_HOST}:{self.gateway}"

    @property
    def grpc_address(self) -> str:
        """Where gRPC is served."""
        return f"{_HOST}:{self.inference}"

    def environment(self, **more: str) -> dict[str, str]:
        """The whole environment of a process: nothing of the caller's gets in."""
        return {
            "GATEWAY_HOST": _HOST,
            "GATEWAY_PORT": str(self.gateway),
            "INFERENCE_HOST": _HOST,
            "INFERENCE_PORT": str(self.inference),
            "INFERENCE_METRICS_PORT": str(self.metrics),
            # A slow machine must not turn an answer into a 504.
            "GATEWAY_REQUEST_TIMEOUT_MS": "120000",
            **SPLIT,
            **more,
        }


@dataclass(frozen=True, slots=True)
class Process:
    """A started process that writes what it says to files."""

    process: subprocess.Popen[bytes]
    ports: Ports
    out: Path
    err: Path

    def interrupt(self) -> None:
        """Does what Ctrl-C does: SIGINT to the whole foreground process group."""
        os.killpg(self.process.pid, signal.SIGINT)

    def wait(self) -> int:
        """Waits for the end; gives the exit code."""
        return self.process.wait(WAIT_S)

    def service(self, module: str) -> psutil.Process:
        """The child that runs this service."""
        children = psutil.Process(self.process.pid).children()
        (found,) = (child for child in children if module in child.cmdline())
        return found

    def services(self) -> list[psutil.Process]:
        """The children that run the services."""
        return [self.service("gateway"), self.service("inference")]

    def said(self) -> str:
        """Everything on both outputs so far."""
        return self.out.read_text() + self.err.read_text()


def free_ports() -> Ports:
    """Ports on which nobody listens now."""
    return Ports(free_port(), free_port(), free_port())


def until(condition: Callable[[], bool], process: Process | None = None) -> None:
    """Waits until something holds; fails when it does not, or when the process ends before."""
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        if process is not None and process.process.poll() is not None:
            raise AssertionError(process.said())
        time.sleep(0.05)


def answers(url: str, status: int = 200) -> bool:
    """Whether a GET is answered with this status."""
    try:
        return httpx.get(url, timeout=5, verify=NO_TLS).status_code == status
    except httpx.TransportError:
        return False


def gone(processes: Iterable[psutil.Process]) -> bool:
    """Whether all have ended, be it that nobody has asked for their exit codes yet."""
    return not any(map(_runs, processes))


@contextmanager
def started(folder: Path, ports: Ports, *arguments: str, **environment: str) -> Iterator[Process]:
    """Runs `python -m …` in the root of the project, and kills it and its children at the end.

    Args:
        folder: where its outputs are written.
        ports: for its environment.
        arguments: the module and its arguments.
        environment: more variables.
    """
    folder.mkdir(parents=True, exist_ok=True)
    out, err = folder / "out", folder / "err"
    with out.open("wb") as out_file, err.open("wb") as err_file:
        process = Process(
            _popen(arguments, ports.environment(**environment), out_file, err_file),
            ports,
            out,
            err,
        )
    try:
        yield process
    finally:
        leftovers = _family(process.process.pid)
        for leftover in leftovers:
            leftover.kill()
        process.process.wait(WAIT_S)
        until(lambda: gone(leftovers))


@contextmanager
def serving(folder: Path, **environment: str) -> Iterator[Process]:
    """`nerve serve`, ready."""
    with started(folder, free_ports(), "nerve", "serve", **environment) as process:
        until(lambda: "Nerve is ready" in process.out.read_text(), process)
        yield process


def _popen(
    arguments: tuple[str, ...], environment: dict[str, str], out: BinaryIO, err: BinaryIO
) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", *arguments]
    # A group of its own, as a shell gives it, so that `interrupt` does not reach the tests.
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=out, stderr=err, process_group=0
    )


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _family(pid: int) -> list[psutil.Process]:
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
