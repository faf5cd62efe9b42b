"""The metrics of the gateway, recorded once per request."""

from functools import partial
from http import HTTPStatus
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

# Any path outside of the interface: paths are the callers' to choose, so none is kept.
UNMATCHED: Final = "unmatched"

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

# From an answer to one short sentence (milliseconds) to the default deadline (30 s).
_DURATION_BUCKETS_S: Final = (
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0,
)  # fmt: skip

_REFUSED: Final = HTTPStatus.TOO_MANY_REQUESTS

_JOINED_BUCKETS: Final = (1, 2, 4, 8, 16, 32)


class GatewayMetrics:
    """Counts and times of the HTTP requests, in a registry of their own.

    Attributes:
        registry: what `/metrics` writes.
        in_flight: requests that are being answered now.
        stream_items_pending: lines of streams that were read and are not yet answered.
        texts: texts that were sent to the inference service.
        joined_texts: texts of each call that carries single texts.
        refused: connections that were closed for a reason of their own.
        overloaded: whether texts are refused so that others are answered soon.
    """

    def __init__(self) -> None:
        self.registry: Final = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        counter = partial(Counter, registry=self.registry)
        gauge = partial(Gauge, registry=self.registry)
        histogram = partial(Histogram, registry=self.registry)
        self.in_flight = 0
        gauge("gateway_http_requests_in_flight", "Requests that are being answered.").set_function(
            lambda: self.in_flight
        )
        self.stream_items_pending: Final = gauge(
            "gateway_stream_items_pending",
            "Lines of streams that were read and are not yet answered.",
        )
        self.texts: Final = counter("gateway_texts", "Texts of the requests that were let in.")
        self.joined_texts: Final = histogram(
            "gateway_joined_texts",
            "Texts of a call that carries the single texts of concurrent requests.",
            buckets=_JOINED_BUCKETS,
        )
        self._requests: Final = counter(
            "gateway_http_requests",
            "Requests by route, method and status; status 499: the caller went away or gave up.",
            ["route", "method", "status"],
        )
        self.refused: Final = counter(
            "gateway_connections_refused",
            "Connections closed before or without a whole request, by reason.",
            ["reason"],
        )
        self.overloaded: Final = gauge(
            "gateway_overloaded",
            "1 while single texts are refused so that others are answered soon.",
        )
        self._durations: Final = histogram(
            "gateway_http_request_duration_seconds",
            "Time from the request's head to the end of its answer; those refused (429) left out.",
            ["route"],
            buckets=_DURATION_BUCKETS_S,
        )
        self._failed: Final = counter(
            "gateway_requests_failed", "Requests answered with an error, by its reason.", ["reason"]
        )
        self._answered: Final = counter(
            "gateway_answered_texts",
            "Texts that a model has answered or rejected, by the model and version that did.",
            ["model", "version"],
        )
        self._models: Final[dict[tuple[str, str], Counter]] = {}
        # Looking a series up by its labels takes several times as long as counting in it.
        self._series: Final[dict[tuple[str, str, int], tuple[Counter, Histogram]]] = {}
        self._reasons: Final[dict[str, Counter]] = {}

    def record(self, route: str, method: str, status: int, duration_s: float) -> None:
        """Count one request, and, unless it was refused with 429, how long it took.

        A refusal takes no time: the more there were, the better the times would look.

        Args:
            route: the route's path template, or `UNMATCHED`.
            method: as sent; unusual ones share one label.
            status: HTTP status of the answer; 499 if the caller went away before it, or gave up
                before it was due.
            duration_s: seconds from the request's head to the end of the answer.
        """
        label = method if method in _METHODS else "other"
        series = self._series.get((route, label, status))
        if series is None:
            requests = self._requests.labels(route, label, str(status))
            series = self._series[route, label, status] = requests, self._durations.labels(route)
        requests, durations = series
        requests.inc()
        if status != _REFUSED:
            durations.observe(duration_s)

    def failed(self, reason: str) -> None:
        """Count one request that was answered with an error of this reason."""
        series = self._reasons.get(reason)
        if series is None:
            series = self._reasons[reason] = self._failed.labels(reason)
        series.inc()

    def answered(self, model: str, version: str, texts: int) -> None:
        """Count texts of an answer.

        Args:
            model: as the inference service names it, never as the caller does.
            version: likewise.
            texts: of the answer.
        """
        series = self._models.get((model, version))
        if series is None:
            series = self._models[model, version] = self._answered.labels(model, version)
        series.inc(texts)
