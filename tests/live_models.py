"""Versions that can be told apart by their answers, and repositories that are watched."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

from inference.batch_queue import BatchQueue
from inference.batcher import Batcher
from inference.catalogue import FoundVersion
from inference.core import RecognizeQuery
from inference.engine import Engine, Limits
from inference.loader import Loader
from inference.metrics import Metrics
from inference.model import Model
from inference.repository import Policy, Repository
from inference.trial import Trial
from inference.version_folder import LoadRules
from tests.tiny_model import CONFIDENT, LABELS, VOCABULARY, score_table, write_onnx, write_version

_LIMITS = Limits(max_texts=64, max_text_chars=5_000, max_call_tokens=100_000)


def write_variant(folder: Path, apple: str = "ORG") -> Path:
    """Writes a version that finds "Apple" to be of this type, in one step as publication does."""
    building = write_version(folder.with_name(f".{folder.name}.building"))
    table = score_table()
    row = VOCABULARY.index("apple")
    table[row] = 0
    table[row, LABELS.index(f"B-{apple}")] = CONFIDENT
    write_onnx(building / "model.onnx", table)
    building.rename(folder)
    return folder


class WatchedLoader(Loader):
    """A loader that counts what it loads, waits at a gate that can be closed, and fails once."""

    def __init__(self, rules: LoadRules, trial: Trial | None = None) -> None:
        super().__init__(rules, trial)
        self.gate = threading.Event()
        self.gate.set()
        self.loaded: list[str] = []
        self.freed: list[str] = []
        self.faults: dict[str, Exception] = {}  # raised by the next load of a version

    def load(self, found: FoundVersion) -> Model:
        name = f"{found.folder.parent.name}/{found.folder.name}"
        self.loaded.append(name)
        assert self.gate.wait(10)
        if name in self.faults:
            raise self.faults.pop(name)
        return super().load(found)

    def free(self, models: list[Model | None]) -> None:
        self.freed += [f"{model.name}/{model.version}" for model in models if model]
        super().free(models)


def open_repository(
    root: Path, *, memory_bytes: int = 0, keep_versions: int = 0, default_model: str = ""
) -> tuple[Repository, WatchedLoader]:
    """Opens a repository with a loader that is watched."""
    loader = WatchedLoader(LoadRules(root))
    return Repository.open(loader, default_model, Policy(memory_bytes, keep_versions)), loader


class Service:
    """An engine on a repository, with one worker; an asynchronous context."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        self.metrics = Metrics()
        self.queue = BatchQueue(256, _LIMITS.max_call_tokens)
        self._batcher = Batcher(self.queue, 1, self.metrics)
        self.engine = Engine(repository, self._batcher, _LIMITS)

    async def __aenter__(self) -> Self:
        self._batcher.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.repository.aclose()
        self._batcher.close()
        self.engine.close()

    async def ask(self, model: str = "", version: str = "") -> tuple[str, str]:
        """Asks for the type of "Apple": which version said what."""
        answer = await self.engine.recognize(RecognizeQuery(["Apple"], model, version))
        (result,) = answer.results
        assert isinstance(result, list)
        return answer.version, result[0].label


def cycle(*numbers: float) -> Callable[[], float]:
    """A random number generator that is not: gives these over and over."""
    position = 0

    def next_number() -> float:
        nonlocal position
        position += 1
        return numbers[(position - 1) % len(numbers)]

    return next_number
