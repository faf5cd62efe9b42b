"""What a benchmark found, as records: for JSON, table, plot and targets."""

from dataclasses import asdict, dataclass
from statistics import mean
from typing import Any

from benchmarks.ceiling import Alone, Ceiling
from benchmarks.interactive import Interactive
from benchmarks.many_models import ManyModels
from benchmarks.measurement import Measurement
from benchmarks.scenario import Kind, Scenario

_PER = 1_000


@dataclass(frozen=True, slots=True)
class Row:
    """One scenario with its ratios."""

    scenario: Scenario
    measurement: Measurement
    ceiling: Ceiling  # of its corpus, measured right before and right after it

    @property
    def of_ceiling(self) -> float:
        """Sentences a second as a share of the ceiling."""
        return self.measurement.load.sentences_per_s / self.ceiling.rate_per_s

    @property
    def cpu_of_ceiling(self) -> float:
        """The same by processor seconds: the ceiling's as a share of the services'.

        What other processes take of a shared machine hardly changes it.
        """
        measurement = self.measurement
        services_cpu_s = measurement.inference_cpu_s + measurement.gateway_cpu_s
        return mean(self.ceiling.cpu_s_per_1000) / self.per_thousand(services_cpu_s)

    def per_thousand(self, seconds: float) -> float:
        """Processor seconds for each 1,000 sentences."""
        return seconds * _PER / self.measurement.load.sentences


@dataclass(frozen=True, slots=True)
class Report:
    """A whole benchmark."""

    machine: dict[str, Any]
    model: str  # and its version, as `ner-en/12`
    seed: int
    ceilings: dict[str, Ceiling]  # by corpus
    alone: Alone
    rows: list[Row]
    interactive: list[Interactive]
    left_out: list[str]  # what was not measured, and why
    failed: list[str]  # what was measured and has no figures, and why
    many_models: ManyModels | None = None

    def row(self, kind: Kind, callers: int) -> Row | None:
        """The closed loop of so many callers on the sentences, if it was run."""
        for row in self.rows:
            one = row.scenario
            if (one.kind, one.callers, one.corpus) == (kind, callers, "sentences") and (
                one.ceiling_share is None
            ):
                return row
        return None

    def as_dict(self) -> dict[str, Any]:
        """For JSON: the records with the figures that are derived from them."""
        return {
            "machine": self.machine,
            "model": self.model,
            "seed": self.seed,
            "ceilings": {
                name: asdict(one) | {"rate_per_s": one.rate_per_s}
                for name, one in self.ceilings.items()
            },
            "alone": asdict(self.alone),
            "scenarios": [_row(row) for row in self.rows],
            "interactive": [asdict(one) | {"p99_ratio": one.p99_ratio} for one in self.interactive],
            "many_models": asdict(self.many_models) if self.many_models else None,
            "left_out": self.left_out,
            "failed": self.failed,
        }


def _row(row: Row) -> dict[str, Any]:
    measurement = row.measurement
    return (
        asdict(row.scenario)
        | {
            "name": row.scenario.name,
            "loop": row.scenario.loop,
            "of_ceiling": row.of_ceiling,
            "cpu_of_ceiling": row.cpu_of_ceiling,
            "ceiling_per_s": row.ceiling.texts_per_s,
            "inference_cpu_s_per_1000": row.per_thousand(measurement.inference_cpu_s),
            "gateway_cpu_s_per_1000": row.per_thousand(measurement.gateway_cpu_s),
            "generator_cpu_s_per_1000": row.per_thousand(measurement.load.generator_cpu_s),
        }
        | asdict(measurement)
    )
