"""What a gRPC client of the Open Inference Protocol may rely on: a real server on loopback."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from inference import VERSION
from inference.catalogue import scan_model
from inference.loader import Loader
from inference.metrics import Metrics
from inference.repository import Policy, Repository
from inference.server import OPEN_INFERENCE, Server
from inference.servicers.bytes_tensor import pack, unpack
from inference.settings import Settings
from inference.version_folder import LoadRules
from protos.inference import open_inference_pb2 as pb
from protos.inference.open_inference_pb2_grpc import GRPCInferenceServiceStub
from tests.tiny_model import write_version

if TYPE_CHECKING:
    from protos.inference.open_inference_pb2_grpc import GRPCInferenceServiceAsyncStub

_SECRET = "Angela Merkel"
_INVALID = grpc.StatusCode.INVALID_ARGUMENT
# More than the server works on for one stream, several times over.
_MANY = 200


@pytest.fixture
def metrics() -> Metrics:
    """What the server counts."""
    return Metrics()


@pytest.fixture
async def server(tmp_path: Path, metrics: Metrics) -> AsyncIterator[Server]:
    """A server with the tiny model and a version of it that is broken."""
    write_version(tmp_path / "tiny" / "1")
    (write_version(tmp_path / "tiny" / "2") / "config.json").unlink()
    options = Settings(host="127.0.0.1", port=0, max_texts=8, max_text_chars=9_000)
    repository = Repository.load(tmp_path, "", options.window_tokens, threads=1)
    server = Server(options, repository, metrics)
    await server.start()
    yield server
    await server.drain()


@pytest.fixture
async def channel(server: Server) -> AsyncIterator[grpc.aio.Channel]:
    """A client's channel to the server."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield channel


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> "GRPCInferenceServiceAsyncStub":
    """A client of the service."""
    return GRPCInferenceServiceStub(channel)


def request(
    *texts: str, shape: tuple[int, ...] | None = None, raw: bytes | None = None, **fields: Any
) -> pb.ModelInferRequest:
    """A request for the tiny model."""
    message = pb.ModelInferRequest(**{"model_name": "tiny", **fields})
    tensor = message.inputs.add(name="text", datatype="BYTES", shape=shape or (len(texts),))
    if raw is None:
        tensor.contents.bytes_contents.extend(text.encode() for text in texts)
    else:
        message.raw_input_contents.append(raw)
    return message


def answer(response: pb.ModelInferResponse) -> list[Any]:
    """The elements of an answer, as JSON has them."""
    (output,) = response.outputs
    elements = list(output.contents.bytes_contents)
    if response.raw_output_contents:
        elements = unpack(response.raw_output_contents[0], output.shape[0])
    return [json.loads(element) for element in elements]


async def failure(call: Any) -> tuple[grpc.StatusCode, str]:
    """Status code and message of a call that must fail."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), caught.value.details() or ""


async def test_the_server_is_live_and_ready(stub: "GRPCInferenceServiceAsyncStub") -> None:
    assert (await stub.ServerLive(pb.ServerLiveRequest(), timeout=10)).live
    assert (await stub.ServerReady(pb.ServerReadyRequest(), timeout=10)).ready


@pytest.mark.parametrize(
    ("name", "version", "ready"),
    [("tiny", "", True), ("tiny", "1", True), ("tiny", "2", False), ("none", "", False)],
)
async def test_a_model_that_cannot_answer_is_not_ready(
    stub: "GRPCInferenceServiceAsyncStub", name: str, version: str, ready: bool
) -> None:
    asked = pb.ModelReadyRequest(name=name, version=version)
    assert (await stub.ModelReady(asked, timeout=10)).ready is ready


async def test_a_model_that_a_call_loads_is_ready(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_version(tmp_path / name / "1")
    options = Settings(host="127.0.0.1", port=0)
    loader = Loader(LoadRules(tmp_path))
    size = loader.memory_bytes(scan_model(tmp_path, "a").versions["1"])
    server = Server(options, Repository.open(loader, "", Policy(memory_bytes=size)), Metrics())
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stub: GRPCInferenceServiceAsyncStub = GRPCInferenceServiceStub(channel)
        for name in ("b", "a", "b"):
            assert (await stub.ModelReady(pb.ModelReadyRequest(name=name), timeout=10)).ready
            described = await stub.ModelMetadata(pb.ModelMetadataRequest(name=name), timeout=10)
            assert list(described.versions) == ["1"]
            assert answer(await stub.ModelInfer(request("Apple", model_name=name), timeout=10))
            index = pb.RepositoryIndexRequest(ready=True)
            ready = (await stub.RepositoryIndex(index, timeout=10)).models
            assert [(one.name, one.state) for one in ready] == [("a", "READY"), ("b", "READY")]
    await server.drain()


async def test_the_server_describes_itself(stub: "GRPCInferenceServiceAsyncStub") -> None:
    response = await stub.ServerMetadata(pb.ServerMetadataRequest(), timeout=10)
    assert (response.name, response.version) == ("nerve", VERSION)
    assert "binary_tensor_data" in response.extensions


async def test_a_model_is_described(stub: "GRPCInferenceServiceAsyncStub") -> None:
    response = await stub.ModelMetadata(pb.ModelMetadataRequest(name="tiny"), timeout=10)
    assert (response.name, list(response.versions)) == ("tiny", ["1"])
    (text,), (entities,) = response.inputs, response.outputs
    assert (text.name, text.datatype, list(text.shape)) == ("text", "BYTES", [-1])
    assert (entities.name, entities.datatype, list(entities.shape)) == ("entities", "BYTES", [-1])


@pytest.mark.parametrize(("name", "version"), [("none", ""), ("tiny", "2")])
async def test_a_model_that_cannot_answer_is_not_found(
    stub: "GRPCInferenceServiceAsyncStub", name: str, version: str
) -> None:
    asked = pb.ModelMetadataRequest(name=name, version=version)
    code, message = await failure(stub.ModelMetadata(asked, timeout=10))
    assert code is grpc.StatusCode.NOT_FOUND
    assert "served are" in message


@pytest.mark.parametrize("is_raw", [True, False])
@pytest.mark.parametrize("shape", [(2,), (2, 1)], ids=str)
async def test_texts_are_answered_in_order(
    stub: "GRPCInferenceServiceAsyncStub", shape: tuple[int, ...], is_raw: bool
) -> None:
    texts = ["Angela Merkel visited Seoul.", "\U0001f600 Apple"]
    raw = pack(text.encode() for text in texts) if is_raw else None
    response = await stub.ModelInfer(request(*texts, shape=shape, raw=raw, id="7"), timeout=10)
    assert (response.model_name, response.model_version, response.id) == ("tiny", "1", "7")
    assert bool(response.raw_output_contents) is is_raw
    first, second = answer(response)
    assert [(e["text"], e["label"], e["start"], e["end"]) for e in first] == [
        ("Angela Merkel", "PER", 0, 13),
        ("Seoul", "LOC", 22, 27),
    ]
    assert [(e["text"], e["start"], e["end"]) for e in second] == [("Apple", 2, 7)]


async def test_options_are_parameters(stub: "GRPCInferenceServiceAsyncStub") -> None:
    parameters = {
        "labels": pb.InferParameter(string_param="LOC,PER"),
        "min_score": pb.InferParameter(double_param=0.5),
        "aggregation": pb.InferParameter(string_param="none"),
        "offset_unit": pb.InferParameter(string_param="byte"),
    }
    asked = request("\U0001f600 Tim at Apple in Paris", parameters=parameters)
    (found,) = answer(await stub.ModelInfer(asked, timeout=10))
    assert [(e["label"], e["start"]) for e in found] == [("B-PER", 5), ("B-LOC", 21)]


async def test_a_text_that_fails_does_not_fail_the_others(
    stub: "GRPCInferenceServiceAsyncStub", metrics: Metrics
) -> None:
    empty, paris = answer(await stub.ModelInfer(request("", "Paris"), timeout=10))
    assert empty["error"]["reason"] == "TEXT_EMPTY"
    assert paris[0]["text"] == "Paris"
    counted = [
        metrics.registry.get_sample_value("inference_texts_total", {"outcome": outcome})
        for outcome in ("OK", "TEXT_EMPTY")
    ]
    assert counted == [1, 1]


@pytest.mark.parametrize(
    ("asked", "code", "hint"),
    [
        (request(""), _INVALID, "at least one character"),
        (request("a" * 9_001), _INVALID, "at most 9000"),
        (request(), _INVALID, "at least one"),
        (request(raw=b"", shape=(0,)), _INVALID, "at least one"),
        (request(*"abcdefghi"), _INVALID, "at most 8"),
        (request("a", shape=(1, 2)), _INVALID, "[n, 1]"),
        (request(raw=b"\x05", shape=(1,)), _INVALID, "4 bytes"),
        (request("a", model_name="none"), grpc.StatusCode.NOT_FOUND, "served are tiny"),
        (request("a", model_version="2"), grpc.StatusCode.NOT_FOUND, "served are 1"),
        (
            request("a", parameters={"labels": pb.InferParameter(string_param="CAT")}),
            _INVALID,
            "PER, ORG, LOC",
        ),
        (
            request("a", parameters={"lables": pb.InferParameter(string_param="LOC")}),
            _INVALID,
            "labels, min_score",
        ),
        (
            request("Paris " * 1_000, parameters={"timeout": pb.InferParameter(int64_param=1)}),
            grpc.StatusCode.DEADLINE_EXCEEDED,
            "deadline",
        ),
    ],
    ids=count(),
)
async def test_a_bad_call_has_its_status_and_says_what_to_change(
    stub: "GRPCInferenceServiceAsyncStub",
    asked: pb.ModelInferRequest,
    code: grpc.StatusCode,
    hint: str,
) -> None:
    found, message = await failure(stub.ModelInfer(asked, timeout=30))
    assert found is code
    assert hint in message


async def test_the_index_tells_what_is_wrong_with_a_version(
    stub: "GRPCInferenceServiceAsyncStub",
) -> None:
    response = await stub.RepositoryIndex(pb.RepositoryIndexRequest(), timeout=10)
    first, second = response.models
    assert (first.name, first.version, first.state) == ("tiny", "1", "READY")
    assert (second.name, second.version, second.state) == ("tiny", "2", "UNAVAILABLE")
    assert second.reason.startswith("config.json")
    ready = await stub.RepositoryIndex(pb.RepositoryIndexRequest(ready=True), timeout=10)
    assert [model.version for model in ready.models] == ["1"]


async def test_a_repository_that_is_named_does_not_exist(
    stub: "GRPCInferenceServiceAsyncStub",
) -> None:
    asked = pb.RepositoryIndexRequest(repository_name=_SECRET)
    code, message = await failure(stub.RepositoryIndex(asked, timeout=10))
    assert code is _INVALID
    assert _SECRET not in message


async def test_models_cannot_be_controlled_unless_the_operator_allows_it(
    stub: "GRPCInferenceServiceAsyncStub",
) -> None:
    for call in (
        stub.RepositoryModelLoad(pb.RepositoryModelLoadRequest(model_name="tiny"), timeout=10),
        stub.RepositoryModelUnload(pb.RepositoryModelUnloadRequest(model_name="tiny"), timeout=10),
    ):
        code, message = await failure(call)
        assert code is grpc.StatusCode.UNIMPLEMENTED
        assert message.startswith("model control is off")
    assert (await stub.ModelReady(pb.ModelReadyRequest(name="tiny"), timeout=10)).ready


async def test_health_and_reflection_name_the_service(
    channel: grpc.aio.Channel, server: Server
) -> None:
    health = health_pb2_grpc.HealthStub(channel)
    response = await health.Check(health_pb2.HealthCheckRequest(service=OPEN_INFERENCE), timeout=10)
    assert response.status == health_pb2.HealthCheckResponse.SERVING

    def services() -> list[str]:
        with grpc.insecure_channel(f"127.0.0.1:{server.port}") as blocking:
            return list(ProtoReflectionDescriptorDatabase(blocking).get_services())

    assert OPEN_INFERENCE == "inference.GRPCInferenceService"
    assert OPEN_INFERENCE in await asyncio.to_thread(services)


async def test_a_stream_is_answered_in_order_and_survives_what_fails(
    stub: "GRPCInferenceServiceAsyncStub",
) -> None:
    async def requests() -> AsyncIterator[pb.ModelInferRequest]:
        for number in range(_MANY):
            texts = [] if number % 7 == 0 else ["Tim in Paris " * (1 + number % 40)]
            yield request(*texts, id=str(number))

    responses = [response async for response in stub.ModelStreamInfer(requests(), timeout=60)]
    assert [response.infer_response.id for response in responses] == [*map(str, range(_MANY))]
    for number, response in enumerate(responses):
        if number % 7 == 0:
            assert "at least one" in response.error_message
            assert not response.infer_response.outputs
        else:
            assert not response.error_message
            assert response.infer_response.parameters["triton_final_response"].bool_param
            (found,) = answer(response.infer_response)
            assert len(found) == 2 * (1 + number % 40)


async def test_a_stream_whose_answers_nobody_takes_is_read_no_further(
    stub: "GRPCInferenceServiceAsyncStub", metrics: Metrics
) -> None:
    """Answers larger than the transport's window, so that it is the server that must wait."""
    sent = 0

    async def requests() -> AsyncIterator[pb.ModelInferRequest]:
        nonlocal sent
        for _ in range(_MANY):
            sent += 1
            yield request("Paris " * 1_400)

    def answered() -> float:
        value = metrics.registry.get_sample_value("inference_calls_total", {"outcome": "OK"})
        return value or 0

    stream = stub.ModelStreamInfer(requests(), timeout=60)
    seen = -1.0
    while answered() != seen or not seen:
        seen = answered()
        await asyncio.sleep(0.3)
    assert 0 < seen < _MANY / 2
    assert len([response async for response in stream]) == _MANY
    assert (answered(), sent) == (_MANY, _MANY)


async def test_a_stream_that_is_left_drops_its_work_and_the_next_call_is_answered(
    stub: "GRPCInferenceServiceAsyncStub", caplog: pytest.LogCaptureFixture
) -> None:
    async def requests() -> AsyncIterator[pb.ModelInferRequest]:
        for _ in range(_MANY):
            yield request("Tim in Paris " * 100)

    stream = stub.ModelStreamInfer(requests(), timeout=60)
    assert answer((await anext(aiter(stream))).infer_response)
    stream.cancel()
    assert answer(await stub.ModelInfer(request("Paris"), timeout=30))
    assert not caplog.records


async def test_draining_ends_a_stream_that_its_caller_keeps_open(
    server: Server, stub: "GRPCInferenceServiceAsyncStub"
) -> None:
    async def requests() -> AsyncIterator[pb.ModelInferRequest]:
        yield request("Paris")
        await asyncio.Event().wait()

    responses = aiter(stub.ModelStreamInfer(requests(), timeout=60))
    assert answer((await anext(responses)).infer_response)
    async with asyncio.timeout(10):  # far below the drain time, which is for running calls
        await server.drain()
        assert (await failure(anext(responses)))[0] is grpc.StatusCode.UNAVAILABLE


_raw = st.one_of(
    st.binary(max_size=40),
    st.lists(st.binary(max_size=9), max_size=4).map(pack),
    st.builds(
        lambda elements, cut: pack(elements)[:cut],
        st.lists(st.just(b"Paris"), max_size=4),
        st.integers(0, 40),
    ),
    st.sampled_from([2**31, 2**32 - 1, 2**31 - 1, 65]).map(
        lambda length: length.to_bytes(4, "little") + b"a" * 64
    ),
)


@settings(max_examples=30, deadline=None)
@given(
    raws=st.lists(
        st.tuples(_raw, st.sampled_from([(0,), (1,), (2,), (3, 1), (2**40,), (-1,), ()])),
        min_size=20,
        max_size=20,
    )
)
def test_malformed_raw_contents_are_never_a_fault_of_the_server(
    tiny_server: tuple[int, asyncio.Runner],
    raws: list[tuple[bytes, tuple[int, ...]]],
) -> None:
    port, runner = tiny_server

    async def send() -> list[str]:
        async def requests() -> AsyncIterator[pb.ModelInferRequest]:
            for raw, shape in raws:
                yield request(raw=raw, shape=shape or None)

        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub: GRPCInferenceServiceAsyncStub = GRPCInferenceServiceStub(channel)
            stream = stub.ModelStreamInfer(requests(), timeout=30)
            return [response.error_message async for response in stream]

    messages = runner.run(send())
    assert len(messages) == len(raws)
    assert not [message for message in messages if "internal" in message]


@pytest.fixture(scope="module")
def tiny_server(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[int, asyncio.Runner]]:
    """A server for all examples of a property, and the loop that it runs in."""
    folder = tmp_path_factory.mktemp("models")
    write_version(folder / "tiny" / "1")
    options = Settings(host="127.0.0.1", port=0)
    repository = Repository.load(folder, "", options.window_tokens, threads=1)
    with asyncio.Runner() as runner:
        server = Server(options, repository, Metrics())
        runner.run(server.start())
        yield server.port, runner
        runner.run(server.drain())
