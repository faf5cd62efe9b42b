"""`python -m benchmarks`: the services against the raw ceiling, as table, JSON and picture."""

import argparse
import json
import sys
from pathlib import Path

from benchmarks.plot import write_plot
from benchmarks.report import Report
from benchmarks.scenario import CONNECTIONS, FULL, QUICK, SMOKE, Kind
from benchmarks.suite import Suite
from benchmarks.table import markdown
from benchmarks.targets import missed

_ROOT = Path(__file__).parent.parent
_RESULTS = Path(__file__).parent / "results"
_EXIT_MISSED = 1
_EXIT_FAILED = 2
_SIZES = {"full": FULL, "quick": QUICK, "smoke": SMOKE}
_SMOKE_CONNECTIONS = (1, 4)


def main() -> None:
    """Measures and reports; exits with 1 when a target is missed and 2 when a call failed.

    A run in which one failed takes no published result's place.
    """
    arguments = _arguments()
    size = "smoke" if arguments.smoke else "quick" if arguments.quick else "full"
    connections = arguments.connections or (_SMOKE_CONNECTIONS if arguments.smoke else CONNECTIONS)
    kinds = arguments.only or list(Kind)
    report = Suite(arguments.models, kinds, connections, _SIZES[size]).run()
    misses = missed(report)
    print("\n" + markdown(report, misses))
    is_whole = size == "full" and not (arguments.only or arguments.connections or report.failed)
    folder = arguments.out or (_RESULTS if is_whole else None)
    if folder:
        _write(report, misses, folder)
    if report.failed:
        print("failed: " + "; ".join(report.failed), file=sys.stderr)
        sys.exit(_EXIT_FAILED)
    if misses and size != "smoke":
        sys.exit(_EXIT_MISSED)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measures the services against the raw ceiling. A whole run writes"
        " benchmarks/results/; one of a part of it, or with --quick, only prints.",
    )
    kinds = ", ".join(Kind)
    parser.add_argument("--only", type=_kinds, metavar="KINDS", help=f"some of {kinds}")
    parser.add_argument(
        "--connections", type=_numbers, metavar="N,N", help="of the closed loops (1,8,32,128)"
    )
    parser.add_argument("--quick", action="store_true", help="shorter, and less exact")
    parser.add_argument("--smoke", action="store_true", help="only to see that it runs")
    parser.add_argument("--models", type=Path, default=_ROOT / "models", help="model repository")
    parser.add_argument("--out", type=Path, help="folder for the results")
    return parser.parse_args()


def _kinds(text: str) -> list[Kind]:
    return [Kind(name.strip().lower()) for name in text.split(",")]


def _numbers(text: str) -> list[int]:
    numbers = [int(number) for number in text.split(",")]
    if min(numbers) < 1:
        raise ValueError
    return numbers


def _write(report: Report, misses: list[str], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    machine = report.machine
    path = folder / f"{machine['date']}-{machine['commit']}.json"
    path.write_text(json.dumps(report.as_dict() | {"missed": misses}, indent=1) + "\n")
    (folder / "latest.md").write_text(markdown(report, misses))
    write_plot(report, folder / "latest.png")
    print(f"written to {path} and latest.md, latest.png beside it")


if __name__ == "__main__":
    main()
