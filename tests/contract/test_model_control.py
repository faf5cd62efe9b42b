"""Loading and unloading by callers, where the operator allows it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from inference.batch_queue import BatchQueue
from inference.batcher import Batcher
from inference.engine import Engine, Limits
from inference.errors import ModelInvalid, ModelNotFound, Reason
from inference.metrics import Metrics
from inference.repository import Repository
from inference.servicers.open_inference import OpenInferenceServicer
from protos.inference import open_inference_pb2 as pb
from protos.inference.open_inference_pb2_grpc import (
    GRPCInferenceServiceStub,
    add_GRPCInferenceServiceServicer_to_server,
)
from tests.tiny_model import write_version

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from protos.inference.open_inference_pb2_grpc import GRPCInferenceServiceAsyncStub


class _Control:
    """Knows one good model and one that cannot be served; writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    async def load(self, name: str) -> None:
        self._check(name)
        if name == "broken":
            raise ModelInvalid("broken/1: config.json: id2label is missing")
        self.told.append(("load", name))

    async def unload(self, name: str) -> None:
        self._check(name)
        self.told.append(("unload", name))

    def _check(self, name: str) -> None:
        if name not in ("good", "broken"):
            raise ModelNotFound(Reason.MODEL_NOT_FOUND, "no such model in the repository")


@pytest.fixture
def control() -> _Control:
    """What the server tells to load and unload."""
    return _Control()


@pytest.fixture
async def stub(tmp_path: Path, control: _Control) -> "AsyncIterator[GRPCInferenceServiceAsyncStub]":
    """A client of a server whose models its callers control."""
    write_version(tmp_path / "tiny" / "1")
    metrics = Metrics()
    repository = Repository.load(tmp_path, "", window_tokens=16, threads=1)
    batcher = Batcher(BatchQueue(256, 512), 1, metrics)  # never started: nothing is recognized
    engine = Engine(repository, batcher, Limits(8, 100, 512))
    server = grpc.aio.server()
    servicer = OpenInferenceServicer(engine, metrics, 8, control, lambda: True)
    add_GRPCInferenceServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield GRPCInferenceServiceStub(channel)
    await server.stop(None)
    engine.close()


async def _failure(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), caught.value.details() or ""


async def test_a_model_is_loaded_and_unloaded(
    stub: "GRPCInferenceServiceAsyncStub", control: _Control
) -> None:
    await stub.RepositoryModelLoad(pb.RepositoryModelLoadRequest(model_name="good"), timeout=10)
    # Triton's client always says whether dependents go too.
    dependents = {"unload_dependents": pb.ModelRepositoryParameter(bool_param=False)}
    unload = pb.RepositoryModelUnloadRequest(model_name="good", parameters=dependents)
    await stub.RepositoryModelUnload(unload, timeout=10)
    assert control.told == [("load", "good"), ("unload", "good")]


async def test_a_model_that_cannot_be_served_is_refused_with_the_reason(
    stub: "GRPCInferenceServiceAsyncStub",
) -> None:
    load = pb.RepositoryModelLoadRequest(model_name="broken")
    code, message = await _failure(stub.RepositoryModelLoad(load, timeout=10))
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert message == "broken/1: config.json: id2label is missing"


async def test_a_model_that_is_not_there_is_not_found(
    stub: "GRPCInferenceServiceAsyncStub",
) -> None:
    load = pb.RepositoryModelLoadRequest(model_name="none")
    unload = pb.RepositoryModelUnloadRequest(model_name="none")
    for call in (
        stub.RepositoryModelLoad(load, timeout=10),
        stub.RepositoryModelUnload(unload, timeout=10),
    ):
        assert (await _failure(call))[0] is grpc.StatusCode.NOT_FOUND


async def test_a_callers_own_configuration_of_a_model_is_refused(
    stub: "GRPCInferenceServiceAsyncStub", control: _Control
) -> None:
    """Nothing that a caller sends becomes a model."""
    files = {"file:1/model.onnx": pb.ModelRepositoryParameter(bytes_param=b"x")}
    load = pb.RepositoryModelLoadRequest(model_name="good", parameters=files)
    code, _ = await _failure(stub.RepositoryModelLoad(load, timeout=10))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert not control.told
