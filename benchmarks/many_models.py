"""Many models, memory for few: what a call costs whose model must be loaded first.

    python -m benchmarks.many_models [--models 200] [--resident 20] [--calls 2000]

It is part of `make bench`, with fewer calls.

Copies of the shipped model stand in a repository under different names; the bound holds so many of
them. Callers ask for models at random, some far more often than others, as tenants do. Printed are
the times of hits and misses, the memory that the service took, and whether the bound held.
"""

import argparse
import asyncio
import os
import random
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import psutil

from inference.batch_queue import BatchQueue
from inference.batcher import Batcher
from inference.catalogue import scan_model
from inference.core import RecognizeQuery
from inference.cores import usable_cores
from inference.engine import Engine, Limits
from inference.loader import Loader
from inference.metrics import Metrics
from inference.repository import Policy, Repository
from inference.trial import Trial
from inference.version_folder import LoadRules, memory_bytes
from telemetry import logs

_MIB = 1024 * 1024
_CALLERS = 8
# Of Zipf's law: the tenth model is asked for a tenth as often as the first.
_EXPONENT = 1.0
_TEXT = "Angela Merkel met Tim Cook of Apple in Seoul."


@dataclass(frozen=True, slots=True)
class Call:
    """One call that was answered."""

    took_ms: float
    hit: bool  # the model was in memory when the call came


@dataclass(frozen=True, slots=True)
class ManyModelsLoad:
    """How many of everything."""

    models: int
    resident: int  # so many fit in memory
    calls: int
    seed: int = 1
    trial: bool = True  # new content is loaded in a process of its own first


@dataclass(frozen=True, slots=True)
class Times:
    """How long calls took."""

    calls: int
    p50_ms: float
    p99_ms: float

    @classmethod
    def of(cls, took_ms: Sequence[float]) -> Self:
        """Sums up times; all is 0 where there are none."""
        p50, p99 = np.percentile(took_ms or [0.0], [50, 99]).tolist()
        return cls(len(took_ms), p50, p99)


@dataclass(frozen=True, slots=True)
class ManyModels:
    """What the scenario gave."""

    load: ManyModelsLoad
    hit: Times
    miss: Times  # the model had to be loaded first
    bound_mib: float
    held_mib: float  # the most that the models were taken to hold
    grown_mib: float  # by how much the process grew

    @property
    def holds(self) -> bool:
        """Whether the bound held."""
        return self.held_mib <= self.bound_mib

    @property
    def sentence(self) -> str:
        """For a person."""
        return (
            f"{self.load.models} models with memory for {self.load.resident}, {_CALLERS} callers:"
            f" {self.hit.calls} hits, p50 {self.hit.p50_ms:.1f} ms, p99 {self.hit.p99_ms:.1f} ms;"
            f" {self.miss.calls} misses, p50 {self.miss.p50_ms:.0f} ms,"
            f" p99 {self.miss.p99_ms:.0f} ms; bound {self.bound_mib:.0f} MiB,"
            f" held {self.held_mib:.0f} MiB, the process grew by {self.grown_mib:.0f} MiB"
        )


def fill(folder: Path, source: Path, models: int) -> list[str]:
    """Writes a repository of equal models; the files are shared on disk, not in memory.

    Args:
        folder: the repository.
        source: the version folder that is repeated.
        models: how many.

    Returns:
        Their names.
    """
    names = [f"tenant-{number:04}" for number in range(models)]
    for name in names:
        target = folder / name / "1"
        target.mkdir(parents=True)
        for file in source.iterdir():
            try:
                os.link(file, target / file.name)
            except OSError:  # another file system
                shutil.copy(file, target)
    return names


async def drive(
    engine: Engine, names: Sequence[str], calls: int, seed: int
) -> tuple[list[Call], int]:
    """Asks for models at random from several callers at once.

    Args:
        engine: answers.
        names: of the models, the most wanted first.
        calls: how many.
        seed: of the choice.

    Returns:
        The calls, and the most memory that the models were taken to hold at once, in bytes.
    """
    chosen = random.Random(seed).choices(  # noqa: S311 - no secret
        names, [1 / (rank + 1) ** _EXPONENT for rank in range(len(names))], k=calls
    )
    waiting = iter(chosen)
    made: list[Call] = []
    held: list[int] = []

    async def caller() -> None:
        for name in waiting:
            served = engine.repository.served(name)
            hit = served.versions[served.live].resident is not None
            started = time.perf_counter()
            await engine.recognize(RecognizeQuery([_TEXT], name))
            made.append(Call((time.perf_counter() - started) * 1e3, hit))
            held.append(engine.repository.memory.room.held_bytes)

    await asyncio.gather(*(caller() for _ in range(_CALLERS)))
    return made, max(held)


async def measure(folder: Path, source: Path, load: ManyModelsLoad) -> ManyModels:
    """Runs the scenario.

    Args:
        folder: empty; becomes the repository.
        source: the version folder that is repeated.
        load: how many of everything.
    """
    names = fill(folder, source, load.models)
    size = memory_bytes(scan_model(folder, names[0]).versions["1"].listing)
    bound = load.resident * size
    rules = LoadRules(folder)
    loader = Loader(rules, Trial(rules) if load.trial else None)
    repository = Repository.open(loader, "", Policy(bound))
    batcher = Batcher(BatchQueue(256, 131_072), usable_cores(), Metrics())
    batcher.start()
    engine = Engine(repository, batcher, Limits(256, 200_000, 131_072))
    before = psutil.Process().memory_info().rss
    made, held = await drive(engine, names, load.calls, load.seed)
    grown = psutil.Process().memory_info().rss - before + size  # one was loaded before
    await repository.aclose()
    batcher.close()
    engine.close()
    hits = [call.took_ms for call in made if call.hit]
    misses = [call.took_ms for call in made if not call.hit]
    times = Times.of(hits), Times.of(misses)
    return ManyModels(load, *times, bound / _MIB, held / _MIB, grown / _MIB)


def measure_many_models(models: Path, load: ManyModelsLoad) -> ManyModels:
    """Runs the scenario on copies of a model, which are gone afterwards.

    Args:
        models: the repository; the first version of its first model is repeated.
        load: how many of everything.
    """
    logs.configure("warning")  # not a line for each load
    source = next(path.parent for path in sorted(models.glob("*/*/config.json")))
    with tempfile.TemporaryDirectory(dir=models, prefix=".many-") as folder:
        return asyncio.run(measure(Path(folder), source, load))


def main() -> None:
    """Reads the options, runs and prints."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.many_models", description=__doc__)
    parser.add_argument("--repository", type=Path, default=Path("models"), help="is repeated")
    parser.add_argument("--models", type=int, default=200)
    parser.add_argument("--resident", type=int, default=20, help="so many fit in memory")
    parser.add_argument("--calls", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--no-trial", dest="trial", action="store_false", help="without a process that loads first"
    )
    options = vars(parser.parse_args())
    found = measure_many_models(options.pop("repository"), ManyModelsLoad(**options))
    print(found.sentence)
    if not found.holds:
        raise SystemExit("the bound did not hold")


if __name__ == "__main__":
    main()
