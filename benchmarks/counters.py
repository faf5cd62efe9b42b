"""What a service has counted, read from its Prometheus exposition."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True, slots=True)
class Counters:
    """Values by name and labels, such as `inference_calls_total{outcome=OK}`."""

    values: Mapping[str, float]

    def __getitem__(self, key: str) -> float:
        """A value; 0 for what was never counted."""
        return self.values.get(key, 0.0)

    def total(self, name: str, label: str = "") -> float:
        """The sum over all labels of what has this name, and this label if one is given."""
        return sum(
            value
            for key, value in self.values.items()
            if key.partition("{")[0] == name and label in key
        )

    def since(self, before: Self) -> "Counters":
        """What was counted between two readings."""
        return Counters({key: value - before[key] for key, value in self.values.items()})

    @property
    def padding_share(self) -> float:
        """Padding in all tokens that were run, from 0 to 1."""
        padding = self.total("inference_tokens_total", "kind=padding")
        tokens = self.total("inference_tokens_total")
        return padding / tokens if tokens else 0.0

    @property
    def mean_batch(self) -> float:
        """Windows in a model run, on average."""
        runs = self.total("inference_batch_windows_count")
        return self.total("inference_batch_windows_sum") / runs if runs else 0.0


def read_counters(exposition: str) -> Counters:
    """Reads the text form of an exposition."""
    values: dict[str, float] = {}
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            values[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return Counters(values)
