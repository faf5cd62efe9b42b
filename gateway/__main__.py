"""The command `python -m gateway`."""

import asyncio
import signal
import socket
import sys
from functools import partial
from typing import TYPE_CHECKING, Final, cast

import uvicorn

from credentials.certificates import TlsFiles
from credentials.errors import CredentialInvalid
from gateway.app import create_app
from gateway.connection import ConnectionLimits, GuardedConnection
from gateway.drain import Drain
from gateway.errors import Reason
from gateway.event_loop import new_loop
from gateway.metrics import GatewayMetrics
from gateway.open_files import make_room, needed
from gateway.settings import GatewaySettings, SettingsInvalid, read_settings
from gateway.shedding_connection import Refuser, Shedding, SheddingConnection
from gateway.tls import renewed_context
from telemetry import garbage, logs
from telemetry.tracing import Tracer, TracingInvalid
from telemetry.usage import refuse_arguments

if TYPE_CHECKING:
    from collections.abc import Callable

_LOG: Final = logs.get_logger("gateway")

_EXIT_FAILURE: Final = 1
_EXIT_USAGE: Final = 2

# Bodies that come for as long as their caller has texts.
_STREAMED_PATHS: Final = frozenset({"/v1/entities:stream"})

# Connections that may wait to be accepted: a burst of 1,000 callers must not be refused.
_BACKLOG: Final = 2048


class GatewayServer(uvicorn.Server):
    """Says where it listens once it does, and to those within when it is about to stop.

    Args:
        config: uvicorn's.
        host: address listened on.
        port: TCP port listened on.
        handshake_timeout_s: time in which a TLS handshake must end.
        drain: begun when a signal has ended the serving.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        host: str,
        port: int,
        handshake_timeout_s: float,
        drain: Drain,
    ) -> None:
        super().__init__(config)
        self._drain: Final = drain
        self._handshake_timeout_s: Final = handshake_timeout_s
        self._host: Final = host
        self._port: Final = port

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve in a loop of this server's own until a signal ends it."""
        with asyncio.Runner(loop_factory=partial(new_loop, self._handshake_timeout_s)) as runner:
            runner.run(self.serve(sockets=sockets))

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then log `gateway_listening`."""
        await super().startup(sockets)
        garbage.set_apart()  # there is a full round every few hundred requests
        _LOG.info("gateway_listening", host=self._host, port=self._port)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin the drain, and let running requests finish."""
        self._drain.begin()
        await super().shutdown(sockets)


def main() -> None:
    """Serve until SIGTERM or SIGINT, then let running requests finish."""
    refuse_arguments("gateway", "Serve REST until SIGTERM or Ctrl-C.", "GATEWAY_PORT=9090")
    try:
        settings = read_settings()
    except SettingsInvalid as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(_EXIT_USAGE)
    logs.configure(settings.log_level)
    settings = _fitted(settings)
    try:
        endpoint = settings.otlp_endpoint
        tracer = Tracer.open("nerve-gateway", endpoint) if endpoint else None
        drain = Drain()
        config = configure(settings, tracer, drain)
    except (CredentialInvalid, TracingInvalid) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(_EXIT_USAGE)
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
    try:
        with listener:
            _serve(config, settings, listener, drain)
    finally:
        if tracer is not None:
            tracer.close()


def _fitted(settings: GatewaySettings) -> GatewaySettings:
    """Bound the connections by the files that may be open, if that is fewer."""
    wanted = settings.max_connections
    connections = make_room(wanted)
    if connections < wanted:
        _LOG.warning(
            "gateway_connections_fewer",
            max_connections=connections,
            detail=f"raise the hard limit of open files (ulimit -n) to {needed(wanted)}, or lower"
            " GATEWAY_MAX_CONNECTIONS",
        )
    return settings.model_copy(update={"max_connections": connections})


def _listen(settings: GatewaySettings) -> socket.socket:
    return socket.create_server(
        (settings.host, settings.port),
        family=socket.AF_INET6 if ":" in settings.host else socket.AF_INET,
        backlog=_BACKLOG,
        # Every interface, in both families, as gRPC reads it.
        dualstack_ipv6=settings.host == "::" and socket.has_dualstack_ipv6(),
    )


def configure(
    settings: GatewaySettings, tracer: Tracer | None = None, drain: Drain | None = None
) -> uvicorn.Config:
    """Compose the app and say how uvicorn runs it.

    Args:
        settings: of the gateway.
        tracer: makes its spans; None: there are none.
        drain: begins when the gateway is about to stop; None: it never does.

    Raises:
        CredentialInvalid: a file of keys or certificates cannot be used.
    """
    metrics = GatewayMetrics()
    tls = _tls(settings)
    context = None if tls is None else renewed_context(tls)
    app = create_app(settings, metrics=metrics, tracer=tracer, drain=drain)
    return uvicorn.Config(
        app,
        http=_connections(settings, metrics, app.refuser),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        # It would believe X-Forwarded-For by a variable of its own: GATEWAY_TRUSTED_PROXIES counts.
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=settings.keep_alive_s,
        timeout_graceful_shutdown=settings.drain_timeout_s,
        ssl_context_factory=None if context is None else lambda _config, _default: context,
    )


def _connections(
    settings: GatewaySettings, metrics: GatewayMetrics, refuser: Refuser | None
) -> type[asyncio.Protocol]:
    limits = connection_limits(settings)

    def refused(reason: Reason) -> None:
        metrics.refused.labels(reason).inc()

    make: Callable[..., asyncio.Protocol] = partial(
        GuardedConnection, limits=limits, refused=refused
    )
    if refuser is not None:
        shedding = Shedding(refuser, metrics)
        make = partial(SheddingConnection, limits=limits, refused=refused, shedding=shedding)
    # uvicorn only ever calls it.
    return cast("type[asyncio.Protocol]", make)


def connection_limits(settings: GatewaySettings) -> ConnectionLimits:
    """What one connection may do."""
    return ConnectionLimits(
        header_timeout_s=settings.header_timeout_s,
        body_timeout_s=settings.body_timeout_s,
        send_timeout_s=settings.send_timeout_s,
        max_connections=settings.max_connections,
        max_head_bytes=settings.max_head_bytes,
        max_headers=settings.max_headers,
        streamed_paths=_STREAMED_PATHS,
    )


def _tls(settings: GatewaySettings) -> TlsFiles | None:
    if settings.tls_cert_file is None or settings.tls_key_file is None:
        return None
    return TlsFiles(settings.tls_cert_file, settings.tls_key_file, settings.tls_client_ca_file)


def _serve(
    config: uvicorn.Config, settings: GatewaySettings, listener: socket.socket, drain: Drain
) -> None:
    port = listener.getsockname()[1]
    server = GatewayServer(config, settings.host, port, settings.header_timeout_s, drain)
    # uvicorn raises the signal again once it has drained; with the default action the exit status
    # would then say that the process was killed.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, server.handle_exit)
    server.run(sockets=[listener])


if __name__ == "__main__":
    main()
