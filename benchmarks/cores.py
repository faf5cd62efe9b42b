"""Which cores do what, so that a load generator takes nothing from what it measures."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import psutil


@dataclass(frozen=True, slots=True)
class Cores:
    """Numbers of cores, as the system counts them."""

    services: tuple[int, ...]
    generator: tuple[int, ...]

    @classmethod
    def apart(cls) -> Self:
        """The last core for the load generator, the others for the services.

        Raises:
            RuntimeError: this process may use a single core, or the system cannot pin processes.
        """
        own = _own()
        if len(own) < 2:
            raise RuntimeError("a core for the load generator needs two that can be told apart")
        return cls(own[:-1], own[-1:])

    @classmethod
    def shared(cls) -> Self:
        """All cores for all."""
        return cls((), ())

    def __str__(self) -> str:
        """For people."""
        if not self.generator:
            return "services and load generator share them"
        return f"{len(self.services)} for the services, {len(self.generator)} for the load"


@contextmanager
def pinned(cores: Collection[int]) -> Iterator[None]:
    """This thread, and the processes that it starts meanwhile, run on these cores alone.

    Args:
        cores: at least one; none: nothing changes.
    """
    if not cores:
        yield
        return
    process = psutil.Process()
    before = process.cpu_affinity()
    process.cpu_affinity(list(cores))
    try:
        yield
    finally:
        process.cpu_affinity(before)


def _own() -> tuple[int, ...]:
    process = psutil.Process()
    # psutil has no `cpu_affinity` where the system has none.
    return tuple(sorted(process.cpu_affinity())) if hasattr(process, "cpu_affinity") else ()
