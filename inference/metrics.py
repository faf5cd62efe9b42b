"""What the inference service counts."""

from collections.abc import Callable, Iterator, Mapping
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from inference.core import Priority, Timings
from inference.cost_model import Costs

_NS_PER_S = 1e9
# From a tenth of a millisecond (tokenizing a sentence) to half a minute (a book), about 2.5 apart.
_SECONDS = (1e-4, 2.5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30)
_STAGES = ("tokenize", "queue", "inference", "decode")
_WINDOWS = (1, 2, 4, 8, 16, 32, 64)


class CostGauges(Collector):
    """The fitted costs of each model, read when they are asked for.

    So a model that is gone leaves no gauge behind, and a run pays nothing for them.
    """

    def __init__(self) -> None:
        self._costs: Callable[[], Mapping[str, Costs]] = dict

    def follow(self, costs: Callable[[], Mapping[str, Costs]]) -> None:
        """Shows the costs that this gives, by model."""
        self._costs = costs

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """One gauge for each model and coefficient."""
        family = GaugeMetricFamily(
            "inference_cost_seconds",
            "Fitted price of a run's parts: a token, a token of padding, a sequence, a run.",
            labels=["model", "of"],
        )
        for model, costs in self._costs().items():
            for part in ("token", "padding", "sequence", "run"):
                nanoseconds: float = getattr(costs, f"{part}_ns")
                family.add_metric([model, part], nanoseconds / _NS_PER_S)
        yield family


class Metrics:
    """The metrics of one process, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        calls = Counter(
            "inference_calls_total",
            "Recognize calls by outcome (OK or the reason of the error).",
            ["outcome"],
            registry=self.registry,
        )
        self.calls_in_flight = Gauge(
            "inference_calls_in_flight", "Recognize calls under way.", registry=self.registry
        )
        texts = Counter(
            "inference_texts_total",
            "Texts by outcome (OK or the reason of the error).",
            ["outcome"],
            registry=self.registry,
        )
        stages = Histogram(
            "inference_stage_seconds",
            "Time of a call in each stage, the longest of its windows.",
            ["stage"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._batch_windows = Histogram(
            "inference_batch_windows",
            "Windows in a model run.",
            buckets=_WINDOWS,
            registry=self.registry,
        )
        batches = Counter(
            "inference_batches_total",
            "Model runs by priority of their calls.",
            ["priority"],
            registry=self.registry,
        )
        tokens = Counter(
            "inference_tokens_total",
            "Tokens run, by kind: text or padding.",
            ["kind"],
            registry=self.registry,
        )
        self._dropped = Counter(
            "inference_windows_dropped_total",
            "Windows that were not run, by reason.",
            ["reason"],
            registry=self.registry,
        )
        self.waiting_tokens = Gauge(
            "inference_waiting_tokens", "Tokens that wait for a worker.", registry=self.registry
        )
        self.drain_seconds = Gauge(
            "inference_predicted_drain_seconds",
            "Predicted time until the workers have run all that waits now.",
            registry=self.registry,
        )
        self.hanging_workers = Gauge(
            "inference_hanging_workers",
            "Workers whose run takes so long that it is taken to hang.",
            registry=self.registry,
        )
        self.costs = CostGauges()
        self.registry.register(self.costs)
        self._shadow = Counter(
            "inference_shadow_texts_total",
            "Texts put to a candidate version, by outcome: same, different, failed or skipped.",
            ["model", "outcome"],
            registry=self.registry,
        )
        self.model_memory = Gauge(
            "inference_model_memory_bytes",
            "Memory that the loaded models are taken to hold.",
            registry=self.registry,
        )
        self.models_loaded = Gauge(
            "inference_models_loaded", "Versions in memory.", registry=self.registry
        )
        # Finding the child of a label costs more than counting on it: each is found once.
        self._calls = cache(calls.labels)
        self._texts = cache(texts.labels)
        self._tokenize, self._queue, self._inference, self._decode = map(stages.labels, _STAGES)
        self._text_tokens, self._padding_tokens = map(tokens.labels, ("text", "padding"))
        self._batches = {p: batches.labels(p.value) for p in Priority}

        self.stream_items_pending = Gauge(
            "inference_stream_items_pending",
            "Items of streams that were read and are not yet answered.",
            registry=self.registry,
        )

    def call(self, outcome: str, timings: Timings | None = None) -> None:
        """Counts a call that has ended; `timings` only when it was answered."""
        self._calls(outcome).inc()
        if timings:
            self._tokenize.observe(timings.tokenize_ns / _NS_PER_S)
            self._queue.observe(timings.queue_ns / _NS_PER_S)
            self._inference.observe(timings.inference_ns / _NS_PER_S)
            self._decode.observe(timings.decode_ns / _NS_PER_S)

    def text(self, outcome: str, texts: int = 1) -> None:
        """Counts texts with this outcome."""
        self._texts(outcome).inc(texts)

    def batch(self, windows: int, tokens: int, padded_tokens: int, priority: Priority) -> None:
        """Counts a model run of `windows` rows with `tokens` of text in `padded_tokens`."""
        self._batches[priority].inc()
        self._batch_windows.observe(windows)
        self._text_tokens.inc(tokens)
        self._padding_tokens.inc(padded_tokens - tokens)

    def shadow(self, model: str, outcome: str, texts: int) -> None:
        """Counts texts that were put to a candidate of a model, or skipped."""
        self._shadow.labels(model, outcome).inc(texts)

    def dropped(self, reason: str, windows: int) -> None:
        """Counts windows that were dropped before they were run."""
        self._dropped.labels(reason).inc(windows)
