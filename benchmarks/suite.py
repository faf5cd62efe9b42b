"""A whole benchmark, ceilings between the scenarios; prints each line as it is measured."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import machine
from benchmarks.ceiling import CeilingMeter
from benchmarks.corpus import CORPORA
from benchmarks.interactive import Interactive, measure_interactive
from benchmarks.many_models import measure_many_models
from benchmarks.measurement import ScenarioFailed, measure
from benchmarks.plan import Plan
from benchmarks.report import Report, Row
from benchmarks.scenario import Kind, Scenario, Size, scenarios
from benchmarks.services import Services, started
from benchmarks.table import progress
from benchmarks.ways import Way, stream_exists
from benchmarks.wrk import is_installed, measure_wrk
from inference.settings import read_settings

SEED = 20261124
_INTERACTIVE = (Way.GRPC, Way.REST)
_NO_STREAM = "gRPC stream, because the contract has no method RecognizeStream"
_NO_WRK = "REST by wrk, because wrk is not installed"


@dataclass(frozen=True, slots=True)
class Suite:
    """What is to be measured.

    Attributes:
        models: the model repository.
        kinds: which scenarios.
        connections: of the closed loops.
        size: how long, with how many texts.
    """

    models: Path
    kinds: Collection[Kind]
    connections: Collection[int]
    size: Size

    def run(self) -> Report:
        """Measures it: each scenario between two measurements of its ceiling.

        What fails has no figures and a line of its own; the others are measured all the same.
        """
        chosen = scenarios(self.kinds, self.connections)
        left_out = []
        for kind, why in _impossible().items():
            if any(one.kind is kind for one in chosen):
                chosen = [one for one in chosen if one.kind is not kind]
                left_out.append(why)
        meter = self._meter({"sentences", *(one.corpus for one in chosen)})
        meter.search(self.size.search_share)
        meter.measure_all()
        print(progress(meter.ceilings()))
        failed: list[str] = []
        rows: list[Row] = []
        interactive: list[Interactive] = []
        with started(self.models) as services:
            for one in chosen:
                with _noting(failed):
                    rows.append(self._row(one, services, meter))
            for way in _INTERACTIVE if Kind.INTERACTIVE in self.kinds else ():
                with _noting(failed):
                    interactive.append(self._interactive(way, services))
        meter.measure_all()
        print(progress(meter.ceilings()))
        many_models = None
        if Kind.MODELS in self.kinds:
            many_models = measure_many_models(self.models, self.size.many_models)
            print(many_models.sentence, flush=True)
        return Report(
            machine.describe() | {"settings": services.settings},
            meter.model,
            SEED,
            meter.ceilings(),
            meter.alone(),
            rows,
            interactive,
            left_out,
            failed,
            many_models,
        )

    def _meter(self, corpora: Collection[str]) -> CeilingMeter:
        texts = {name: CORPORA[name](self._texts(name), SEED) for name in sorted(corpora)}
        return CeilingMeter.load(self.models, read_settings().window_tokens, texts)

    def _row(self, scenario: Scenario, services: Services, meter: CeilingMeter) -> Row:
        share = scenario.ceiling_share
        plan = replace(
            self._plan(scenario.way, services),
            corpus=scenario.corpus,
            corpus_texts=self._texts(scenario.corpus),
            connections=scenario.connections,
            depth=scenario.depth,
            texts_per_call=scenario.texts_per_call,
            measure_s=self.size.measure_s * scenario.rounds,
            rate_per_s=None
            if share is None
            else share * meter.ceilings()[scenario.corpus].rate_per_s,
        )
        by = measure_wrk if scenario.kind is Kind.WRK else measure
        measurement = by(plan, services)
        meter.measure(scenario.corpus)
        row = Row(scenario, measurement, meter.last_two(scenario.corpus))
        print(progress(meter.ceilings(), row), flush=True)
        return row

    def _interactive(self, way: Way, services: Services) -> Interactive:
        plan = replace(self._plan(way, services), measure_s=self.size.interactive_s)
        return measure_interactive(plan, services)

    def _texts(self, corpus: str) -> int:
        return self.size.mixed if corpus == "mixed" else self.size.sentences

    def _plan(self, way: Way, services: Services) -> Plan:
        is_rest = way is Way.REST
        return Plan(
            way=way,
            authority=services.rest_authority if is_rest else services.grpc_authority,
            corpus="sentences",
            corpus_texts=self._texts("sentences"),
            seed=SEED,
            connections=1,
            measure_s=self.size.measure_s,
            warm_up_s=self.size.warm_up_s,
            bulk_is_known=is_rest and services.bulk_is_known(),
        )


@contextmanager
def _noting(failed: list[str]) -> Iterator[None]:
    """Adds a line to `failed` where a scenario fails, and goes on."""
    try:
        yield
    except ScenarioFailed as error:
        failed.append(str(error))
        print(f"failed: {error}", flush=True)


def _impossible() -> dict[Kind, str]:
    """What cannot be measured here, and why."""
    found = {}
    if not stream_exists():
        found[Kind.STREAM] = _NO_STREAM
    if not is_installed():
        found[Kind.WRK] = _NO_WRK
    return found
