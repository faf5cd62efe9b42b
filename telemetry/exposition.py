"""Prometheus exposition of a metric registry."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, make_wsgi_app, start_http_server
from prometheus_client.exposition import choose_encoder

if TYPE_CHECKING:
    from collections.abc import Iterable
    from threading import Thread
    from wsgiref.simple_server import WSGIServer
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

# What prometheus_client compares as numbers: it raises on any other version.
_VERSION: Final = re.compile(r"([0-9]{1,9}(\.[0-9]{1,9})*)?")


@dataclass(frozen=True, slots=True)
class Exposition:
    """The metrics of one instant as a scraper reads them."""

    body: bytes
    content_type: str


def render(registry: CollectorRegistry, accept: str | None) -> Exposition:
    """Write the metrics of a registry.

    Args:
        registry: the metrics to write.
        accept: the scraper's `Accept` header; chooses OpenMetrics or the plain text format.

    Returns:
        The body with its content type.
    """
    encoder, content_type = choose_encoder(_readable(accept or ""))
    return Exposition(body=encoder(registry), content_type=content_type)


def _readable(accept: str) -> str:
    """An `Accept` header without the formats whose version is no number.

    Where none is left, the plain text format is answered, which every scraper reads.
    """
    # A value may be quoted, and means the same (RFC 9110, 5.6.6).
    media_ranges = accept.replace('"', "").split(",")
    return ",".join(each for each in media_ranges if _has_readable_version(each))


def _has_readable_version(media_range: str) -> bool:
    parameters = (parameter.strip().partition("=") for parameter in media_range.split(";"))
    return all(_VERSION.fullmatch(value) for name, _, value in parameters if name == "version")


class MetricsServer:
    """An HTTP server that answers `GET /metrics` from a thread of its own.

    Args:
        registry: the metrics to serve.
        host: address to listen on.
        port: TCP port to listen on; 0 lets the system choose, see `port`.
    """

    def __init__(self, registry: CollectorRegistry, host: str, port: int) -> None:
        self._registry: Final = registry
        self._host: Final = host
        self._asked_port: Final = port
        self._running: tuple[WSGIServer, Thread] | None = None

    @property
    def port(self) -> int:
        """The TCP port listened on.

        Raises:
            RuntimeError: the server is not running.
        """
        if self._running is None:
            raise RuntimeError("the metrics server is not running: call start() first")
        server, _ = self._running
        return server.server_port

    def start(self) -> None:
        """Listen and answer until `close`.

        Raises:
            OSError: the address cannot be listened on.
            RuntimeError: the server is already running.
        """
        if self._running is not None:
            raise RuntimeError("the metrics server is already running")
        server, thread = start_http_server(
            self._asked_port, addr=self._host, registry=self._registry
        )
        server.set_app(_reading_any_accept(make_wsgi_app(self._registry)))
        self._running = server, thread

    def close(self) -> None:
        """Stop listening and end the thread; does nothing if the server is not running."""
        if self._running is None:
            return
        server, thread = self._running
        self._running = None
        server.shutdown()
        server.server_close()
        thread.join()


def _reading_any_accept(app: "WSGIApplication") -> "WSGIApplication":
    def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> "Iterable[bytes]":
        environ["HTTP_ACCEPT"] = _readable(environ.get("HTTP_ACCEPT", ""))
        return app(environ, start_response)

    return answer
