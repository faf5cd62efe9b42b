"""Prometheus exposition of a metric registry."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.exposition import choose_encoder

if TYPE_CHECKING:
    from threading import Thread
    from wsgiref.simple_server import WSGIServer


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
    encoder, content_type = choose_encoder(accept or "")
    return Exposition(body=encoder(registry), content_type=content_type)


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
        self._running = start_http_server(
            self._asked_port, addr=self._host, registry=self._registry
        )

    def close(self) -> None:
        """Stop listening and end the thread; does nothing if the server is not running."""
        if self._running is None:
            return
        server, thread = self._running
        self._running = None
        server.shutdown()
        server.server_close()
        thread.join()
