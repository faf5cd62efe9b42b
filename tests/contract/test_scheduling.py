"""What a gRPC client may rely on when calls wait: priorities and deadlines, over a real port."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest

from inference.metrics import Metrics
from inference.repository import Repository
from inference.server import Server
from inference.settings import Settings
from protos.ner.v1 import entity_recognizer_pb2 as pb
from protos.ner.v1.entity_recognizer_pb2_grpc import EntityRecognizerStub
from tests.tiny_model import write_version

if TYPE_CHECKING:
    from protos.ner.v1.entity_recognizer_pb2_grpc import EntityRecognizerAsyncStub

BULK = pb.RecognizeOptions(priority=pb.BULK)


@pytest.fixture
def metrics() -> Metrics:
    """What the server counts."""
    return Metrics()


@pytest.fixture
async def stub(tmp_path: Path, metrics: Metrics) -> AsyncIterator["EntityRecognizerAsyncStub"]:
    """A client of a server with the tiny model."""
    write_version(tmp_path / "tiny" / "1")
    settings = Settings(host="127.0.0.1", port=0)
    repository = Repository.load(tmp_path, "", settings.window_tokens, threads=1)
    server = Server(settings, repository, metrics)
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield EntityRecognizerStub(channel)
    await server.drain()


async def test_interactive_and_bulk_calls_are_both_answered(
    stub: "EntityRecognizerAsyncStub", metrics: Metrics
) -> None:
    bulk = [
        stub.Recognize(pb.RecognizeRequest(texts=["Tim in Paris"] * 200, options=BULK), timeout=30)
        for _ in range(8)
    ]
    clicks = [
        stub.Recognize(pb.RecognizeRequest(texts=["Tim in Seoul"]), timeout=30) for _ in range(20)
    ]
    for response in await asyncio.gather(*clicks):
        assert [e.text for e in response.results[0].entities.entities] == ["Tim", "Seoul"]
    for response in await asyncio.gather(*bulk):
        found = [[e.text for e in result.entities.entities] for result in response.results]
        assert found == [["Tim", "Paris"]] * 200
    for priority in ("interactive", "bulk"):
        labels = {"model": "tiny", "version": "1", "priority": priority}
        assert metrics.registry.get_sample_value("inference_batches_total", labels)


async def test_an_unknown_priority_is_refused(stub: "EntityRecognizerAsyncStub") -> None:
    options = pb.RecognizeOptions(priority=77)  # type: ignore[arg-type]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Recognize(pb.RecognizeRequest(texts=["a"], options=options), timeout=10)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "priority" in (caught.value.details() or "")


async def test_a_deadline_that_cannot_be_met_is_refused_and_its_work_is_never_run(
    stub: "EntityRecognizerAsyncStub", metrics: Metrics
) -> None:
    """A call of 250 texts within the time that one needs."""
    one = pb.RecognizeRequest(texts=["Tim in Seoul"])
    for _ in range(30):
        await stub.Recognize(one, timeout=30)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Recognize(pb.RecognizeRequest(texts=["Tim " * 100] * 250), timeout=0.003)
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    await stub.Recognize(one, timeout=30)  # by now the call before has been refused or dropped
    value = metrics.registry.get_sample_value
    text = {"model": "tiny", "version": "1", "kind": "text"}
    assert (value("inference_tokens_total", text) or 0) < 250 * 100
