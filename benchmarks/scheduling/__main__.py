"""`python -m benchmarks.scheduling`: measure what runs cost, simulate policies, time the queue."""

import argparse
from pathlib import Path

from benchmarks.scheduling import run_costs
from benchmarks.scheduling.policies import Fifo, LengthClasses, Policy, Served
from benchmarks.scheduling.queue_time import print_queue_time
from benchmarks.scheduling.run_costs import MEASURED
from benchmarks.scheduling.simulation import ceiling_texts_per_s, simulate
from benchmarks.scheduling.workloads import WORKLOADS
from inference.cost_model import Costs

_SEED = 20261124


def main() -> None:
    """Does what is asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scheduling", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    measure = commands.add_parser("measure", help="fit the costs of a model's runs on one core")
    measure.add_argument("--models", type=Path, default=Path("models"))
    simulation = commands.add_parser("simulate", help="compare policies under many workloads")
    simulation.add_argument("--seconds", type=float, default=20, help="simulated (default 20)")
    simulation.add_argument("--seed", type=int, default=_SEED)
    simulation.add_argument("--costs", choices=MEASURED, default=next(iter(MEASURED)))
    simulation.add_argument("--only", default="", help="workloads whose name holds this")
    commands.add_parser("queue", help="time the queue's own decisions")
    arguments = parser.parse_args()
    if arguments.command == "measure":
        run_costs.measure(arguments.models)
    elif arguments.command == "simulate":
        _simulate(MEASURED[arguments.costs], arguments.seconds, arguments.seed, arguments.only)
    else:
        print_queue_time()


def _policies() -> dict[str, Policy]:
    return {
        "alone": Fifo(rows=1),
        "fifo": Fifo(rows=32),
        "timer 5 ms": Fifo(rows=32, tokens=10**6, wait_ns=5_000_000),
        "length classes": LengthClasses(),
        "ours, no priorities": Served(priorities=False),
        "ours": Served(),
    }


def _simulate(costs: Costs, seconds: float, seed: int, only: str) -> None:
    print(f"ceiling {ceiling_texts_per_s(costs):.0f} sentences/s; {costs}")
    for workload, groups in WORKLOADS.items():
        if only not in workload:
            continue
        print(f"\n{workload}\n| policy | of ceiling | p50 ms | p99 ms | padding | rows | others |")
        print("|---|---|---|---|---|---|---|")
        for name, policy in _policies().items():
            outcome = simulate(policy, groups, costs, seconds, seed)
            print(
                f"| {name} | {outcome.of_ceiling:.2f} | {outcome.p50_ms:.1f} |"
                f" {outcome.p99_ms:.1f} | {outcome.padding:.2f} | {outcome.rows:.1f} |"
                f" {outcome.bulk_share:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
