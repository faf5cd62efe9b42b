"""The command `python -m gateway`."""

import gc
import signal
import socket
import sys
from typing import Final

import uvicorn

from gateway.app import create_app
from gateway.settings import GatewaySettings, SettingsInvalid, read_settings
from telemetry import logs

_LOG: Final = logs.get_logger("gateway")

_EXIT_FAILURE: Final = 1
_EXIT_USAGE: Final = 2

# Connections that may wait to be accepted: a burst of 1,000 callers must not be refused.
_BACKLOG: Final = 2048


class GatewayServer(uvicorn.Server):
    """Says where it listens once it does.

    Args:
        config: uvicorn's.
        host: address listened on.
        port: TCP port listened on.
    """

    def __init__(self, config: uvicorn.Config, host: str, port: int) -> None:
        super().__init__(config)
        self._host: Final = host
        self._port: Final = port

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then log `gateway_listening`."""
        await super().startup(sockets)
        _spare_collector()
        _LOG.info("gateway_listening", host=self._host, port=self._port)


def _spare_collector() -> None:
    """Take what lives as long as the process out of the garbage collector's rounds.

    With it a full round takes 40 ms or more, in which nobody is answered, and there is one every
    few hundred requests.
    """
    gc.collect()
    gc.freeze()


def main() -> None:
    """Serve until SIGTERM or SIGINT, then let running requests finish."""
    try:
        settings = read_settings()
    except SettingsInvalid as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(_EXIT_USAGE)
    logs.configure(settings.log_level)
    try:
        listener = _listen(settings)
    except OSError as error:
        _LOG.critical(
            "gateway_cannot_listen",
            host=settings.host,
            port=settings.port,
            detail=f"{error.strerror}: free the port, or choose another with GATEWAY_PORT",
        )
        sys.exit(_EXIT_FAILURE)
    with listener:
        _serve(settings, listener)


def _listen(settings: GatewaySettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    return socket.create_server((settings.host, settings.port), family=family, backlog=_BACKLOG)


def _serve(settings: GatewaySettings, listener: socket.socket) -> None:
    config = uvicorn.Config(
        create_app(settings),
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        # Nothing here asks for the caller's address.
        proxy_headers=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=settings.drain_timeout_s,
    )
    server = GatewayServer(config, settings.host, listener.getsockname()[1])
    # uvicorn raises the signal again once it has drained; with the default action the exit status
    # would then say that the process was killed.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, server.handle_exit)
    server.run(sockets=[listener])


if __name__ == "__main__":
    main()
