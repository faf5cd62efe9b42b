"""What the inference service counts."""

from dataclasses import dataclass
from functools import cache, partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from inference.core import Priority, Timings
from inference.gauges import QueueGauges, VersionGauges, split_name

_NS_PER_S = 1e9
# From a tenth of a millisecond (tokenizing a sentence) to half a minute (a book), about 2.5 apart.
_SECONDS = (1e-4, 2.5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30)
_STAGES = ("tokenize", "queue", "inference", "decode")
_WINDOWS = (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True, slots=True)
class BatchRun:
    """One model run that has ended."""

    model: str  # name/version
    priority: Priority
    windows: int
    tokens: int  # of text
    padded_tokens: int  # text and padding
    took_ns: int


class _ModelSeries:
    """The series of one version of a model.

    Finding the child of a label costs more than counting on it: each is found once.
    """

    __slots__ = ("batches", "decode", "inference", "padding", "queue", "run", "text", "tokenize",
                 "windows")  # fmt: skip

    def __init__(self, metrics: "Metrics", model: str, version: str) -> None:
        name = {"model": model, "version": version}
        stages = (metrics.stages.labels(**name, stage=stage) for stage in _STAGES)
        self.tokenize, self.queue, self.inference, self.decode = stages
        self.windows = metrics.batch_windows.labels(**name)
        self.run = metrics.batch_seconds.labels(**name)
        self.text = metrics.tokens.labels(**name, kind="text")
        self.padding = metrics.tokens.labels(**name, kind="padding")
        self.batches = {p: metrics.batches.labels(**name, priority=p.value) for p in Priority}


class Metrics:
    """The metrics of one process, in a registry of its own.

    Labels are bounded: reasons and stages by this code, models and versions by what the operator
    puts into the repository; nothing that a caller sends becomes a label.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        counter = partial(Counter, registry=self.registry)
        gauge = partial(Gauge, registry=self.registry)
        histogram = partial(Histogram, registry=self.registry)
        calls = counter(
            "inference_calls_total",
            "Recognize calls by outcome (OK, CANCELLED or the reason of the error).",
            ["outcome"],
        )
        self.calls_in_flight = gauge("inference_calls_in_flight", "Recognize calls under way.")
        texts = counter(
            "inference_texts_total",
            "Texts by outcome (OK or the reason of the error).",
            ["outcome"],
        )
        self.stages = histogram(
            "inference_stage_seconds",
            "Time of a call in each stage, the longest of its windows.",
            ["model", "version", "stage"],
            buckets=_SECONDS,
        )
        self.batch_windows = histogram(
            "inference_batch_windows",
            "Windows in a model run.",
            ["model", "version"],
            buckets=_WINDOWS,
        )
        self.batch_seconds = histogram(
            "inference_batch_seconds",
            "Time of a model run.",
            ["model", "version"],
            buckets=_SECONDS,
        )
        self.batches = counter(
            "inference_batches_total",
            "Model runs by priority of their calls.",
            ["model", "version", "priority"],
        )
        self.tokens = counter(
            "inference_tokens_total",
            "Tokens run, by kind: text or padding.",
            ["model", "version", "kind"],
        )
        self._dropped = counter(
            "inference_windows_dropped_total", "Windows that were not run, by reason.", ["reason"]
        )
        self.waiting_tokens = gauge("inference_waiting_tokens", "Tokens that wait for a worker.")
        self.drain_seconds = gauge(
            "inference_predicted_drain_seconds",
            "Predicted time until the workers have run all that waits now.",
        )
        self.hanging_workers = gauge(
            "inference_hanging_workers",
            "Workers whose run takes so long that it is taken to hang, or that have died.",
        )
        self.queue_limit_tokens = gauge(
            "inference_queue_limit_tokens", "Most tokens that may wait; further calls are refused."
        )
        self.workers = gauge("inference_workers", "Model runs that can go on at once.")
        self.busy_workers = gauge("inference_busy_workers", "Model runs that go on now.")
        self.queue = QueueGauges()
        self.registry.register(self.queue)
        self.versions = VersionGauges()
        self.registry.register(self.versions)
        self._shadow = counter(
            "inference_shadow_texts_total",
            "Texts put to a candidate version, by outcome: same, different, failed or skipped.",
            ["model", "outcome"],
        )
        self.model_memory = gauge(
            "inference_model_memory_bytes", "Memory that the loaded models are taken to hold."
        )
        self.models_loaded = gauge("inference_models_loaded", "Versions in memory.")
        self.stream_items_pending = gauge(
            "inference_stream_items_pending",
            "Items of streams that were read and are not yet answered.",
        )
        # Finding the child of a label costs more than counting on it: each is found once.
        self._calls = cache(calls.labels)
        self._texts = cache(texts.labels)
        self._models: dict[str, _ModelSeries] = {}

    def call(self, outcome: str, timings: Timings | None = None, model: str = "") -> None:
        """Counts a call that has ended.

        Args:
            outcome: OK, CANCELLED or the reason of the error.
            timings: only when it was answered.
            model: what answered it, as `name/version`.
        """
        self._calls(outcome).inc()
        if timings:
            series = self._series(model)
            series.tokenize.observe(timings.tokenize_ns / _NS_PER_S)
            series.queue.observe(timings.queue_ns / _NS_PER_S)
            series.inference.observe(timings.inference_ns / _NS_PER_S)
            series.decode.observe(timings.decode_ns / _NS_PER_S)

    def text(self, outcome: str, texts: int = 1) -> None:
        """Counts texts with this outcome."""
        self._texts(outcome).inc(texts)

    def batch(self, run: BatchRun) -> None:
        """Counts a model run."""
        series = self._series(run.model)
        series.batches[run.priority].inc()
        series.windows.observe(run.windows)
        series.run.observe(run.took_ns / _NS_PER_S)
        series.text.inc(run.tokens)
        series.padding.inc(run.padded_tokens - run.tokens)

    def shadow(self, model: str, outcome: str, texts: int) -> None:
        """Counts texts that were put to a candidate of a model, or skipped."""
        self._shadow.labels(model, outcome).inc(texts)

    def dropped(self, reason: str, windows: int) -> None:
        """Counts windows that were dropped before they were run."""
        self._dropped.labels(reason).inc(windows)

    def _series(self, model: str) -> _ModelSeries:
        series = self._models.get(model)
        if series is None:
            series = self._models[model] = _ModelSeries(self, *split_name(model))
        return series
