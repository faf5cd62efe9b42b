"""`python -m inference`: reads the settings, loads the models and serves until told to stop."""

import asyncio
import gc
import os
import signal
import sys
from types import FrameType

import uvloop

from credentials.errors import CredentialInvalid
from inference.calibration import chosen_split
from inference.errors import ModelInvalid
from inference.metrics import Metrics
from inference.model_supply import supply_of
from inference.server import PortTaken, Server
from inference.settings import Settings, SettingsInvalid, read_settings
from telemetry import garbage, logs
from telemetry.exposition import MetricsServer
from telemetry.tracing import Tracer, TracingInvalid
from telemetry.usage import refuse_arguments

_log = logs.get_logger("inference")

_EXIT_FAILURE = 1
_EXIT_USAGE = 2


def main() -> None:
    """Runs the service; exits with 2 for a bad setting, with 1 when it cannot serve."""
    refuse_arguments(
        "inference", "Serve models over gRPC until SIGTERM or Ctrl-C.", "INFERENCE_PORT=50099"
    )
    try:
        settings = read_settings()
    except SettingsInvalid as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(_EXIT_USAGE)
    logs.configure(settings.log_level)
    signal.signal(signal.SIGTERM, _end_at_once)
    garbage.set_apart()  # what was imported, but no model: those go again
    try:
        uvloop.run(_serve(settings))
    except (ModelInvalid, PortTaken, CredentialInvalid, TracingInvalid) as error:
        _log.error("inference_cannot_start", detail=str(error))
        sys.exit(_EXIT_FAILURE)


def _end_at_once(number: int, _: FrameType | None) -> None:
    """Ends a start, which has no calls to drain; as PID 1 it would outlive SIGTERM otherwise."""
    sys.exit(128 + number)


async def _serve(settings: Settings) -> None:
    metrics = Metrics()
    repository = supply_of(settings, settings.threads_per_worker or 1).open()
    split = chosen_split(settings, repository)
    if split.threads != (settings.threads_per_worker or 1):
        # Not both in memory at once; what a repository holds refers back to it.
        del repository
        gc.collect()
        repository = supply_of(settings, split.threads).open()
    settings = settings.model_copy(
        update={"workers": split.workers, "threads_per_worker": split.threads}
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    endpoint = settings.otlp_endpoint
    tracer = Tracer.open("nerve-inference", endpoint) if endpoint else None
    server = Server(settings, repository, metrics, tracer)
    exposition = MetricsServer(metrics.registry, settings.host, settings.metrics_port)
    try:
        exposition.start()
    except OSError as error:
        address = settings.address(settings.metrics_port)
        raise PortTaken(f"cannot listen on {address}: INFERENCE_METRICS_PORT moves it") from error
    try:
        await server.start()
        if not await _ends(server, stop) or not await server.drain():
            # A thread that hangs in a run can neither be stopped nor joined, so the process cannot
            # end in good order. Whoever called is told by the broken connection, and asks again.
            os._exit(_EXIT_FAILURE)
    finally:
        exposition.close()
        if tracer is not None:
            await asyncio.to_thread(tracer.close)


async def _ends(server: Server, stop: asyncio.Event) -> bool:
    """Waits for the end; whether it was asked for, and not forced by a worker that hangs."""
    asked = asyncio.create_task(stop.wait())
    given_up = asyncio.create_task(server.given_up())
    await asyncio.wait({asked, given_up}, return_when=asyncio.FIRST_COMPLETED)
    given_up.cancel()
    return asked.done()


if __name__ == "__main__":
    main()
