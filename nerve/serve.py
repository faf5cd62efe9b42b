"""The supervisor: runs one gateway and one inference service on this machine, and ends with them.

It decides nothing itself: processes, signals and the readiness probe become events, and
`nerve.lifecycle` says what to do about each.
"""

import asyncio
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from nerve import health, lifecycle
from nerve.lifecycle import Announce, Event, Kill, Say, Service, Situation, Terminate
from nerve.ports import Listener, find_free
from nerve.settings import ServeSettings
from telemetry import streams

_POLL_S = 0.1
_PROBE_TIMEOUT_S = 2.0
# Often enough that nobody thinks it hangs, seldom enough to leave the log readable.
_PROGRESS_EVERY_S = 5.0
# A service bounds its draining itself; this is for closing what it owns afterwards.
_CLOSING_S = 5.0
_STOPPING = (signal.SIGINT, signal.SIGTERM)
_EXAMPLE = '{"text": "Angela Merkel met Tim Cook of Apple in Seoul."}'


@dataclass(frozen=True, slots=True)
class Launch:
    """How a service is started and ended.

    Attributes:
        service: which of the two it is.
        module: what is run, as `python -m` would.
        environment: of its process.
        drain_s: time from the request to end until it is killed, in seconds.
    """

    service: Service
    module: str
    environment: Mapping[str, str]
    drain_s: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What the supervisor runs, and where."""

    gateway: Listener
    inference: Listener
    launches: tuple[Launch, ...]
    scheme: str = "http"


def plan(settings: ServeSettings) -> Plan:
    """Finds the ports and ties the gateway to the inference service.

    Raises:
        PortTaken: a service would not be able to listen.
    """
    gateway, inference, metrics = find_free(settings.gateway, settings.inference, settings.metrics)
    environment = {
        **settings.environment,
        gateway.variable: str(gateway.port),
        inference.variable: str(inference.port),
        metrics.variable: str(metrics.port),
        "GATEWAY_INFERENCE_TARGET": f"dns:///{inference.reachable}",
    }
    launches = (
        Launch(
            Service.INFERENCE, "inference", environment, settings.inference_drain_s + _CLOSING_S
        ),
        Launch(Service.GATEWAY, "gateway", environment, settings.gateway_drain_s + _CLOSING_S),
    )
    return Plan(gateway, inference, launches, settings.scheme)


def announcement(plan: Plan) -> str:
    """What to read when the services are ready."""
    gateway = plan.gateway.shown
    rest = f"{plan.scheme}://{gateway}"
    curl = gateway if plan.scheme == "http" else rest
    return f"""\

Nerve is ready.
  REST    {rest}          documentation: {rest}/docs
  gRPC    {plan.inference.shown}
Try
  curl -s {curl}/v1/entities -H 'content-type: application/json' -d '{_EXAMPLE}'
Ctrl-C drains and stops both.
"""


class Supervisor:
    """Owns the two processes, from start to end.

    Args:
        plan: what to run.
        ready_timeout_s: time that the services get to become ready, in seconds.
    """

    def __init__(self, plan: Plan, ready_timeout_s: float) -> None:
        self._plan = plan
        self._ready_timeout_s = ready_timeout_s
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._children: dict[Service, _Child] = {}

    async def run(self) -> int:
        """Runs the services until both have ended; cancelling kills them.

        Returns:
            The exit code: 0 after a clean drain.
        """
        loop = asyncio.get_running_loop()
        for number in _STOPPING:
            loop.add_signal_handler(number, self._events.put_nowait, lifecycle.StopAsked())
        try:
            async with asyncio.TaskGroup() as tasks:
                for launch in self._plan.launches:
                    child = await _Child.start(launch)
                    self._children[launch.service] = child
                    tasks.create_task(self._watch(child))
                waiting = tasks.create_task(self._wait_until_ready())
                exit_code = await self._obey()
                waiting.cancel()
        finally:
            for child in self._children.values():
                child.signal(signal.SIGKILL)
            for number in _STOPPING:
                loop.remove_signal_handler(number)
        return exit_code

    async def _obey(self) -> int:
        situation = Situation()
        while situation.running:
            step = lifecycle.decide(situation, await self._events.get())
            situation = step.situation
            for action in step.actions:
                self._act(action)
        return situation.exit_code

    def _act(self, action: lifecycle.Action) -> None:
        match action:
            case Announce():
                _print(announcement(self._plan))
            case Say(line, failure):
                _print(f"nerve: {line}", failure=failure)
            case Kill(service):
                self._children[service].signal(signal.SIGKILL)
            case Terminate(service):
                child = self._children[service]
                child.signal(signal.SIGTERM)
                asyncio.get_running_loop().call_later(
                    child.launch.drain_s,
                    self._events.put_nowait,
                    lifecycle.DrainTimedOut(service),
                )

    async def _watch(self, child: "_Child") -> None:
        code = await child.wait()
        self._events.put_nowait(lifecycle.Ended(child.launch.service, code))

    async def _wait_until_ready(self) -> None:
        """Asks the gateway again and again, and tells now and then that it still does."""
        address = urlsplit(f"{self._plan.scheme}://{self._plan.gateway.reachable}/readyz")
        _print("nerve: starting; the model is loaded and tried before anything is answered ...")
        began = told = time.monotonic()
        while (now := time.monotonic()) - began < self._ready_timeout_s:
            try:
                await asyncio.to_thread(health.check_http, address, _PROBE_TIMEOUT_S)
            except health.Unhealthy:
                if now - told >= _PROGRESS_EVERY_S:
                    told = now
                    _print(f"nerve: not ready yet ({now - began:.0f} s) ...")
                await asyncio.sleep(_POLL_S)
            else:
                self._events.put_nowait(lifecycle.Ready())
                return
        self._events.put_nowait(lifecycle.StartTimedOut(self._ready_timeout_s))


class _Child:
    """One service in a process of its own."""

    def __init__(self, launch: Launch, process: asyncio.subprocess.Process) -> None:
        self.launch = launch
        self._process = process

    @classmethod
    async def start(cls, launch: Launch) -> "_Child":
        """Starts the process.

        In a session of its own, so that a terminal's Ctrl-C reaches the supervisor alone, which
        drains in order; its standard input is the tether, see `nerve.tether`.
        """
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "nerve.tether",
            launch.module,
            str(launch.drain_s),
            stdin=asyncio.subprocess.PIPE,
            env=launch.environment,
            start_new_session=True,
        )
        return cls(launch, process)

    async def wait(self) -> int:
        """Waits for the process to end; gives its exit code, negative for a signal."""
        return await self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal; does nothing when the process has ended."""
        if self._process.returncode is None:
            self._process.send_signal(number)


def _print(line: str, *, failure: bool = False) -> None:
    streams.write(sys.stderr if failure else sys.stdout, f"{line}\n")
