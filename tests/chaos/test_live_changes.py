"""Models that are published, loaded and unloaded while callers ask, over a real port."""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from inference.loader import Loader
from inference.metrics import Metrics
from inference.model_control import ModelControl
from inference.repository import Policy, Repository
from inference.server import Server
from inference.settings import Settings
from inference.trial import Trial
from inference.version_folder import LoadRules
from protos.ner.v1 import entity_recognizer_pb2 as pb
from protos.ner.v1.entity_recognizer_pb2_grpc import EntityRecognizerStub
from tests.live_models import write_variant

if TYPE_CHECKING:
    from protos.ner.v1.entity_recognizer_pb2_grpc import EntityRecognizerAsyncStub

pytestmark = pytest.mark.timeout(60)

_CALLERS = 16
_SWITCHES = 50
_CYCLES = 50


# What the callers of a model were answered: version and label, or the status.
Heard = Counter[tuple[str, str]]


@dataclass(slots=True)
class Running:
    """A server in this process, and what changes it."""

    root: Path
    repository: Repository
    control: ModelControl
    channel: grpc.aio.Channel
    heard: dict[str, Heard] = field(default_factory=dict)
    done: bool = False

    async def call(self, model: str) -> None:
        """Asks until the test is done, and notes every answer."""
        stub: EntityRecognizerAsyncStub = EntityRecognizerStub(self.channel)
        heard = self.heard.setdefault(model, Counter())
        while not self.done:
            try:
                request = pb.RecognizeRequest(texts=["Apple"], model=model)
                response = await stub.Recognize(request, timeout=30)
                (entity,) = response.results[0].entities.entities
                heard[response.version, entity.label] += 1
            except grpc.aio.AioRpcError as error:
                heard["", error.code().name] += 1

    def live(self, model: str) -> str:
        """The live version of a model."""
        return next((s.version for s in self.repository.versions if s.name == model and s.live), "")


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    """A server that polls often; one model that stays, one that moves, one that comes and goes."""
    write_variant(tmp_path / "steady" / "1", "PER")
    write_variant(tmp_path / "moving" / "1", _apple(1))
    write_variant(tmp_path / "passing" / "1", "ORG")
    settings = Settings(host="127.0.0.1", port=0, models_dir=tmp_path, poll_interval_s=0.02)
    rules = LoadRules(tmp_path)
    loader = Loader(rules, Trial(rules))
    repository = Repository.open(loader, "steady", Policy(keep_versions=1))
    server = Server(settings, repository, Metrics())
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield Running(tmp_path, repository, ModelControl(repository, loader), channel)
    await server.drain()


def _apple(version: int) -> str:
    """Each version says something else than the one before."""
    return ("LOC", "ORG")[version % 2]


async def _switch(running: Running) -> None:
    for version in range(2, _SWITCHES + 2):
        write_variant(running.root / "moving" / str(version), _apple(version))
        while running.live("moving") != str(version):  # noqa: ASYNC110 - seen as callers see it
            await asyncio.sleep(0.005)


async def _come_and_go(running: Running) -> None:
    for _ in range(_CYCLES):
        await running.control.unload("passing")
        assert running.live("passing") == ""
        await running.control.load("passing")
        assert running.live("passing") == "1"
        await asyncio.sleep(0.01)


async def test_changes_lose_no_request_and_change_no_other_answer(running: Running) -> None:
    models = itertools.islice(itertools.cycle(["steady", "moving"]), _CALLERS)
    callers = [asyncio.create_task(running.call(model)) for model in (*models, "passing")]
    async with asyncio.TaskGroup() as group:
        group.create_task(_switch(running))
        group.create_task(_come_and_go(running))
    running.done = True
    await asyncio.gather(*callers)

    assert set(running.heard["steady"]) == {("1", "PER")}
    moving = running.heard["moving"]
    assert all(label == _apple(int(version)) for version, label in moving if version)
    assert ("", "NOT_FOUND") not in moving
    assert {version for version, _ in moving} >= {"2", str(_SWITCHES + 1)}
    assert all(version for version, _ in moving), "no request was lost"
    # A call of a model that is out of service is told so; all others are answered.
    assert set(running.heard["passing"]) <= {("1", "ORG"), ("", "NOT_FOUND")}
    assert running.heard["passing"]["1", "ORG"]
    # What went is freed: the three live versions are all that is in memory.
    moved = list(running.repository.served("moving").versions.values())
    await running.repository.memory.room.drained(moved)
    assert running.repository.memory.room.loaded == 3


async def test_health_follows_each_model(running: Running) -> None:
    health = health_pb2_grpc.HealthStub(running.channel)

    async def serving(name: str, *, expected: bool) -> None:
        while True:
            answer = await health.Check(health_pb2.HealthCheckRequest(service=name), timeout=5)
            if (answer.status == health_pb2.HealthCheckResponse.SERVING) == expected:
                return
            await asyncio.sleep(0.005)

    await serving("passing", expected=True)
    await running.control.unload("passing")
    await serving("passing", expected=False)
    await serving("", expected=True)
    await running.control.load("passing")
    await serving("passing", expected=True)
    write_variant(running.root / "another" / "1")
    while running.live("another") != "1":  # noqa: ASYNC110 - seen as callers see it
        await asyncio.sleep(0.005)
    await serving("another", expected=True)
