"""Gauges that are read when they are asked for: a call pays nothing, and a model that is gone
leaves none behind.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from inference.cost_model import Costs

_NS_PER_S = 1e9


@dataclass(frozen=True, slots=True)
class QueueReading:
    """What is known of the models that have run, by `name/version`."""

    costs: Mapping[str, Costs]
    waiting_tokens: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class VersionReading:
    """The state of one version of a model."""

    model: str
    version: str
    state: str


class QueueGauges(Collector):
    """What waits for each model, and its fitted costs."""

    def __init__(self) -> None:
        self._read: Callable[[], QueueReading] = lambda: QueueReading({}, {})

    def follow(self, read: Callable[[], QueueReading]) -> None:
        """Shows what this gives."""
        self._read = read

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """One gauge for each model, and one for each coefficient of its costs."""
        reading = self._read()
        costs = GaugeMetricFamily(
            "inference_cost_seconds",
            "Fitted price of a run's parts: a token, a token of padding, a sequence, a run.",
            labels=["model", "version", "of"],
        )
        for name, fitted in reading.costs.items():
            for part in ("token", "padding", "sequence", "run"):
                nanoseconds: float = getattr(fitted, f"{part}_ns")
                costs.add_metric([*split_name(name), part], nanoseconds / _NS_PER_S)
        yield costs
        waiting = GaugeMetricFamily(
            "inference_model_waiting_tokens",
            "Tokens that wait for a worker, of the models that have run.",
            labels=["model", "version"],
        )
        for name, tokens in reading.waiting_tokens.items():
            waiting.add_metric(split_name(name), tokens)
        yield waiting


class VersionGauges(Collector):
    """The state of each version in the repository."""

    def __init__(self) -> None:
        self._states: Sequence[str] = ()
        self._read: Callable[[], Sequence[VersionReading]] = tuple

    def follow(self, states: Sequence[str], read: Callable[[], Sequence[VersionReading]]) -> None:
        """Shows what `read` gives, with a gauge for each of these states."""
        self._states = states
        self._read = read

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """One gauge for each version and state: a query finds the state before it first occurs."""
        family = GaugeMetricFamily(
            "inference_model_version_state",
            "1 for the state that a version of a model is in, 0 for the others.",
            labels=["model", "version", "state"],
        )
        for one in self._read():
            for state in self._states:
                family.add_metric([one.model, one.version, state], float(state == one.state))
        yield family


def split_name(name: str) -> tuple[str, str]:
    """The model and the version of `name/version`."""
    model, _, version = name.partition("/")
    return model, version
