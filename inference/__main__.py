"""`python -m inference`: reads the settings, loads the models and serves until told to stop."""

import asyncio
import signal
import sys

import uvloop
from pydantic import ValidationError

from inference.errors import ModelInvalid
from inference.metrics import Metrics
from inference.repository import Repository
from inference.server import PortTaken, Server
from inference.settings import Settings
from telemetry import logs
from telemetry.exposition import MetricsServer

_log = logs.get_logger(__name__)


def main() -> None:
    """Runs the service; exits with 2 for a bad setting and with 1 when it cannot serve."""
    try:
        settings = Settings()
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False):
            name = "_".join(str(part) for part in problem["loc"]).upper()
            sys.stderr.write(f"INFERENCE_{name}: {problem['msg']}\n")
        sys.exit(2)
    logs.configure(settings.log_level)
    try:
        uvloop.run(_serve(settings))
    except (ModelInvalid, PortTaken) as error:
        _log.error("inference_cannot_start", detail=str(error))
        sys.exit(1)


async def _serve(settings: Settings) -> None:
    metrics = Metrics()
    repository = Repository.load(
        settings.models_dir,
        settings.default_model,
        settings.window_tokens,
        settings.threads_per_worker,
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = Server(settings, repository, metrics)
    exposition = MetricsServer(metrics.registry, settings.host, settings.metrics_port)
    try:
        exposition.start()
    except OSError as error:
        address = f"{settings.host}:{settings.metrics_port}"
        raise PortTaken(f"cannot listen on {address}: INFERENCE_METRICS_PORT moves it") from error
    try:
        await server.start()
        await stop.wait()
        await server.drain()
    finally:
        exposition.close()


if __name__ == "__main__":
    main()
