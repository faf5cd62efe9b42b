"""The command `python -m nerve`."""

import argparse
import asyncio
import atexit
import sys

from nerve import VERSION, keys, settings
from nerve.options import seconds
from nerve.ports import PortTaken
from nerve.serve import Supervisor, plan
from nerve.tune import tune
from telemetry import streams

_FAILED = 1
_BAD_SETTING = 2
_INTERRUPTED = 130

_SERVE = """\
Start the gateway (REST) and the inference service (gRPC) on this machine, wait until they answer,
and stop both on Ctrl-C or SIGTERM: running requests are answered first. A second Ctrl-C ends them
at once. If one of them dies, the other is stopped and the exit code is not 0."""

_SERVE_SETTINGS = """\
settings, from the environment:
  GATEWAY_PORT            port of REST, /docs and /metrics (8080; 0 picks a free one)
  INFERENCE_PORT          port of gRPC (50051; 0 picks a free one)
  INFERENCE_METRICS_PORT  port of the inference service's /metrics (9464; 0 picks a free one)
  INFERENCE_MODELS_DIR    the models, <name>/<version>/ (./models)
  and every other GATEWAY_... and INFERENCE_... setting of the two services.

The logs of both services go to standard error as JSON lines."""

_TUNE = """\
Measure on this machine how many model runs at a time, with how many threads each, answer most
sentences: what the inference service does at start, printed. It reads the same INFERENCE_...
settings; set what is found to start without measuring."""


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m nerve", description="Named-entity recognition as a service."
    )
    parser.add_argument("--version", action="version", version=f"nerve {VERSION}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    serve = commands.add_parser(
        "serve",
        help="start both services on this machine",
        description=_SERVE,
        epilog=_SERVE_SETTINGS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    serve.add_argument(
        "--timeout",
        type=seconds,
        default=120.0,
        metavar="SECONDS",
        help="give up when the services are not ready by then (%(default)g)",
    )
    serve.set_defaults(run=_serve)
    tuning = commands.add_parser(
        "tune",
        help="measure how the inference service should share the cores",
        description=_TUNE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    tuning.set_defaults(run=lambda _: tune())
    keys.add_commands(commands)
    options = parser.parse_args(arguments)
    try:
        exit_code: int = options.run(options)
    except KeyboardInterrupt:
        return _INTERRUPTED
    return exit_code


def _serve(options: argparse.Namespace) -> int:
    ready_timeout_s: float = options.timeout
    atexit.register(streams.let_go)
    try:
        supervisor = Supervisor(plan(settings.read()), ready_timeout_s)
        return asyncio.run(supervisor.run())
    except settings.SettingsInvalid as error:
        for line in error.lines:
            _complain(line)
        return _BAD_SETTING
    except PortTaken as error:
        _complain(str(error))
        return _FAILED


def _complain(line: str) -> None:
    print(f"nerve: {line}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
