"""Single texts while bulk calls saturate the service, against the same on an idle one."""

from dataclasses import dataclass, replace

from benchmarks.measurement import generating, load_of, measure
from benchmarks.plan import Plan
from benchmarks.recorder import Load
from benchmarks.services import Services

# Seldom enough that they do not wait for each other.
_RATE_PER_S = 25.0
_CONNECTIONS = 16
_BULK_CONNECTIONS = 8
_BULK_TEXTS = 32
# What the interactive generator needs beyond its plan: it starts while the bulk one runs.
_START_S = 3.0


@dataclass(frozen=True, slots=True)
class Interactive:
    """What the callers of single texts saw, without and with bulk calls beside them."""

    way: str
    idle: Load
    beside_bulk: Load
    bulk: Load

    @property
    def p99_ratio(self) -> float:
        """How many times as long the slowest of a hundred take beside bulk calls."""
        return self.beside_bulk.p99_ms / self.idle.p99_ms


def measure_interactive(plan: Plan, services: Services) -> Interactive:
    """Measures single texts twice.

    Args:
        plan: the way in and the times; callers and rate are this scenario's own.
        services: idle but for this.

    Raises:
        ScenarioFailed: a call failed, or an answer was wrong.
    """
    single = replace(plan, connections=_CONNECTIONS, rate_per_s=_RATE_PER_S)
    bulk = replace(
        plan,
        connections=_BULK_CONNECTIONS,
        texts_per_call=_BULK_TEXTS,
        bulk=True,
        measure_s=plan.warm_up_s + plan.measure_s + _START_S,
    )
    idle = measure(single, services)
    with generating(bulk) as generator:
        next(generator.lines)  # "begin": from now on it saturates the service
        beside = measure(single, services)
        said = list(generator.lines)
    return Interactive(plan.way, idle.load, beside.load, load_of(bulk, said))
