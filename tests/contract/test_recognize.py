"""What a gRPC client may rely on: a real channel to a real server on loopback."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, cast

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from inference.metrics import Metrics
from inference.repository import Repository
from inference.server import SERVICE, PortTaken, Server
from inference.settings import Settings
from protos.ner.v1 import entity_recognizer_pb2 as pb
from protos.ner.v1.entity_recognizer_pb2_grpc import EntityRecognizerStub
from tests.tiny_model import write_version

if TYPE_CHECKING:
    from protos.ner.v1.entity_recognizer_pb2_grpc import EntityRecognizerAsyncStub

_MIB = 1024 * 1024


@pytest.fixture
def metrics() -> Metrics:
    """What the server counts."""
    return Metrics()


@pytest.fixture
async def server(tmp_path: Path, metrics: Metrics) -> AsyncIterator[Server]:
    """A server with the tiny model and a version of it that is broken."""
    write_version(tmp_path / "tiny" / "1")
    (write_version(tmp_path / "tiny" / "2") / "config.json").unlink()
    settings = Settings(
        host="127.0.0.1", port=0, max_texts=8, max_text_chars=9_000, max_message_bytes=_MIB
    )
    repository = Repository.load(tmp_path, "", settings.window_tokens, threads=1)
    server = Server(settings, repository, metrics)
    await server.start()
    yield server
    await server.drain()


@pytest.fixture
async def channel(server: Server) -> AsyncIterator[grpc.aio.Channel]:
    """A client's channel to the server."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield channel


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> "EntityRecognizerAsyncStub":
    """A client of the service."""
    return EntityRecognizerStub(channel)


async def failure(call: object) -> tuple[grpc.StatusCode, str, status_pb2.Status]:
    """Status code, message and rich details of a call that must fail."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call  # type: ignore[misc]
    metadata = cast("Iterable[tuple[str, bytes]]", caught.value.trailing_metadata())
    trailing = dict(metadata)
    details = status_pb2.Status.FromString(trailing.get("grpc-status-details-bin", b""))
    return caught.value.code(), caught.value.details() or "", details


def reason_of(details: status_pb2.Status) -> str:
    """The reason in a status; its domain must be ours."""
    info = error_details_pb2.ErrorInfo()
    assert details.details[0].Unpack(info)
    assert info.domain == "nerve"
    return str(info.reason)


async def test_several_texts_in_one_call(stub: "EntityRecognizerAsyncStub") -> None:
    response = await stub.Recognize(
        pb.RecognizeRequest(texts=["Angela Merkel visited Seoul.", "", "Apple"]), timeout=10
    )
    assert (response.model, response.version) == ("tiny", "1")
    first, empty, last = response.results
    found = [(e.text, e.label, e.start, e.end) for e in first.entities.entities]
    assert found == [("Angela Merkel", "PER", 0, 13), ("Seoul", "LOC", 22, 27)]
    assert 0.9 < first.entities.entities[0].score <= 1
    assert empty.error.reason == pb.TEXT_EMPTY
    assert last.entities.entities[0].label == "ORG"
    assert response.timings.inference_ns > 0


async def test_a_text_without_entities_has_an_outcome(stub: "EntityRecognizerAsyncStub") -> None:
    request = pb.RecognizeRequest(texts=["met in the", " "])
    for result in (await stub.Recognize(request, timeout=10)).results:
        assert result.WhichOneof("outcome") == "entities"
        assert not result.entities.entities


async def test_all_options(stub: "EntityRecognizerAsyncStub") -> None:
    options = pb.RecognizeOptions(
        labels=["LOC"], min_score=0.5, aggregation=pb.NONE, offset_unit=pb.BYTE
    )
    request = pb.RecognizeRequest(
        texts=["\U0001f600 Tim in Paris"], model="tiny", version="1", options=options
    )
    (result,) = (await stub.Recognize(request, timeout=10)).results
    (entity,) = result.entities.entities
    assert (entity.label, entity.start, entity.end) == ("B-LOC", 12, 17)


@pytest.mark.parametrize(
    ("request_", "code", "reason"),
    [
        (pb.RecognizeRequest(), grpc.StatusCode.INVALID_ARGUMENT, "NO_TEXTS"),
        (
            pb.RecognizeRequest(texts=["a"] * 9),
            grpc.StatusCode.INVALID_ARGUMENT,
            "TOO_MANY_TEXTS",
        ),
        (
            pb.RecognizeRequest(texts=["a"], model="none"),
            grpc.StatusCode.NOT_FOUND,
            "MODEL_NOT_FOUND",
        ),
        (
            pb.RecognizeRequest(texts=["a"], version="2"),
            grpc.StatusCode.NOT_FOUND,
            "VERSION_NOT_FOUND",
        ),
        (
            pb.RecognizeRequest(texts=["a"], options=pb.RecognizeOptions(labels=["CAT"])),
            grpc.StatusCode.INVALID_ARGUMENT,
            "LABEL_UNKNOWN",
        ),
        (
            pb.RecognizeRequest(texts=["a"], options=pb.RecognizeOptions(min_score=2)),
            grpc.StatusCode.INVALID_ARGUMENT,
            "OPTION_INVALID",
        ),
        (
            pb.RecognizeRequest(texts=["a"], options=pb.RecognizeOptions(aggregation=77)),  # type: ignore[arg-type]
            grpc.StatusCode.INVALID_ARGUMENT,
            "OPTION_INVALID",
        ),
        (
            pb.RecognizeRequest(texts=["a"], options=pb.RecognizeOptions(offset_unit=77)),  # type: ignore[arg-type]
            grpc.StatusCode.INVALID_ARGUMENT,
            "OPTION_INVALID",
        ),
    ],
    ids=count(),
)
async def test_a_bad_call_has_its_status_and_reason(
    stub: "EntityRecognizerAsyncStub",
    request_: pb.RecognizeRequest,
    code: grpc.StatusCode,
    reason: str,
) -> None:
    found, message, details = await failure(stub.Recognize(request_, timeout=10))
    assert (found, reason_of(details)) == (code, reason)
    assert message == details.message


async def test_a_deadline_that_passes_ends_the_call(stub: "EntityRecognizerAsyncStub") -> None:
    request = pb.RecognizeRequest(texts=["Paris " * 1_400] * 8)
    code, _, _ = await failure(stub.Recognize(request, timeout=0.001))
    assert code == grpc.StatusCode.DEADLINE_EXCEEDED


async def test_a_cancelled_call_leaves_its_neighbours_answered(
    stub: "EntityRecognizerAsyncStub",
) -> None:
    calls = [
        stub.Recognize(pb.RecognizeRequest(texts=["Tim in Paris " * (1 + n % 40)]), timeout=10)
        for n in range(40)
    ]
    for call in calls[::2]:
        call.cancel()
    kept = [await call for call in calls[1::2]]
    sizes = [len(response.results[0].entities.entities) for response in kept]
    assert sizes == [2 * (1 + n % 40) for n in range(1, 40, 2)]


async def test_a_message_over_the_limit_is_refused_and_the_next_is_answered(
    stub: "EntityRecognizerAsyncStub",
) -> None:
    code, _, _ = await failure(
        stub.Recognize(pb.RecognizeRequest(texts=["a" * (_MIB + 1)]), timeout=10)
    )
    assert code == grpc.StatusCode.RESOURCE_EXHAUSTED
    response = await stub.Recognize(pb.RecognizeRequest(texts=["Paris"]), timeout=10)
    assert len(response.results[0].entities.entities) == 1


async def test_models_are_listed_with_what_is_wrong_with_them(
    stub: "EntityRecognizerAsyncStub",
) -> None:
    response = await stub.ListModels(pb.ListModelsRequest(), timeout=10)
    first, second = response.models
    assert response.default_model == "tiny"
    assert (first.name, first.version, first.live) == ("tiny", "1", True)
    assert first.state == pb.ModelVersion.READY
    assert list(first.labels) == ["PER", "ORG", "LOC"]
    assert first.max_window_tokens == 128
    assert (second.version, second.live, second.state) == ("2", False, pb.ModelVersion.FAILED)
    assert second.detail.startswith("config.json")


@pytest.mark.parametrize("name", ["", SERVICE, "tiny"])
async def test_health_is_told_per_service_and_per_model(
    channel: grpc.aio.Channel, name: str
) -> None:
    health = health_pb2_grpc.HealthStub(channel)
    response = await health.Check(health_pb2.HealthCheckRequest(service=name), timeout=10)
    assert response.status == health_pb2.HealthCheckResponse.SERVING


async def test_reflection_names_the_services(server: Server) -> None:
    def services() -> list[str]:
        with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            return list(ProtoReflectionDescriptorDatabase(channel).get_services())

    assert {SERVICE, "grpc.health.v1.Health"} <= set(await asyncio.to_thread(services))


async def test_a_port_that_is_taken_is_said(server: Server, tmp_path: Path) -> None:
    settings = Settings(host="127.0.0.1", port=server.port)
    repository = Repository.load(tmp_path, "", settings.window_tokens, threads=1)
    with pytest.raises(PortTaken, match="INFERENCE_PORT"):
        await Server(settings, repository, Metrics()).start()


@pytest.mark.usefixtures("server")
async def test_an_idle_service_ends_well_without_time_to_drain(tmp_path: Path) -> None:
    settings = Settings(host="127.0.0.1", port=0, drain_timeout_s=0, lame_duck_s=0)
    repository = Repository.load(tmp_path, "", settings.window_tokens, threads=1)
    idle = Server(settings, repository, Metrics())
    await idle.start()
    assert await idle.drain()


def _begun_calls(metrics: Metrics) -> float:
    """Calls that the server has taken up, ended ones included."""
    ended = metrics.registry.get_sample_value("inference_calls_total", {"outcome": "OK"})
    under_way = metrics.registry.get_sample_value("inference_calls_in_flight")
    return (ended or 0) + (under_way or 0)


@pytest.mark.timeout(60)
async def test_draining_answers_what_runs(
    server: Server, metrics: Metrics, stub: "EntityRecognizerAsyncStub"
) -> None:
    running = [
        asyncio.ensure_future(
            stub.Recognize(pb.RecognizeRequest(texts=["Paris " * 1_400] * 4), timeout=30)
        )
        for _ in range(4)
    ]
    while _begun_calls(metrics) < len(running):  # noqa: ASYNC110 - a counter has no event
        await asyncio.sleep(0)
    await server.drain()
    for response in await asyncio.gather(*running):
        assert [len(r.entities.entities) for r in response.results] == [1_400] * 4
