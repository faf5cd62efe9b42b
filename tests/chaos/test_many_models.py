"""Two hundred models, memory for twenty."""

import asyncio
import os
import random
from pathlib import Path

import numpy as np
import psutil
import pytest

from inference.catalogue import scan_model
from inference.errors import RecognitionError
from inference.version_folder import memory_bytes
from tests.live_models import Service, open_repository, write_variant
from tests.tiny_model import score_table, write_onnx

pytestmark = pytest.mark.timeout(60)

_MODELS = 200
_RESIDENT = 20
_CALLERS = 8
_MIB = 1024 * 1024
# What the allocator and the libraries keep between pieces that are in use.
_SLACK_BYTES = 48 * _MIB


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models; each holds 2.8 MB of weights, so that memory would tell if one stayed."""
    root = tmp_path_factory.mktemp("many")
    first = write_variant(root / "tenant-000" / "1")
    table = score_table()
    write_onnx(first / "model.onnx", np.pad(table, ((0, 100_000), (0, 0))))
    for number in range(1, _MODELS):
        target = root / f"tenant-{number:03}" / "1"
        target.mkdir(parents=True)
        for file in first.iterdir():
            os.link(file, target / file.name)
    return root


async def test_any_of_them_answers_and_the_bound_holds(root: Path) -> None:
    size = memory_bytes(scan_model(root, "tenant-000").versions["1"].listing)
    bound = _RESIDENT * size
    repository, loader = open_repository(root, memory_bytes=bound)
    names = [f"tenant-{number:03}" for number in range(_MODELS)]
    order = names + random.Random(7).sample(names, _MODELS)  # noqa: S311 - no secret
    waiting = iter(order)
    held: list[int] = []

    async def caller() -> None:
        for name in waiting:
            assert await service.ask(name) == ("1", "ORG")
            held.append(repository.memory.room.held_bytes)

    before = psutil.Process().memory_info().rss
    async with Service(repository) as service:
        await asyncio.gather(*(caller() for _ in range(_CALLERS)))
        grown = psutil.Process().memory_info().rss - before
        assert repository.memory.room.loaded <= _RESIDENT
    assert max(held) <= bound
    assert grown < bound + _SLACK_BYTES
    # Each was loaded, and most twice: no twenty of them serve two hundred.
    assert set(loader.loaded) == {f"{name}/1" for name in names}
    assert len(loader.loaded) > 1.5 * _MODELS


async def test_more_callers_than_models_fit_are_all_answered(root: Path) -> None:
    """Two models fit and three are asked for at once, over and over: nobody waits for ever."""
    size = memory_bytes(scan_model(root, "tenant-000").versions["1"].listing)
    repository, _ = open_repository(root, memory_bytes=2 * size)

    async def caller(number: int) -> None:
        for turn in range(12):
            name = f"tenant-{(number + turn) % 3:03}"
            try:
                assert await service.ask(name) == ("1", "ORG")
            except RecognitionError as error:
                raise AssertionError(error.detail) from error

    async with Service(repository) as service:
        await asyncio.gather(*(caller(number) for number in range(12)))
    assert repository.memory.room.held_bytes <= 2 * size
