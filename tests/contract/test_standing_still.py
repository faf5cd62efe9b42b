"""What a caller may rely on while a run stands still: a real channel to a real server."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from numpy.typing import NDArray

from inference.decoding import Decoder
from inference.entry import Runnable
from inference.metrics import Metrics
from inference.repository import Model, Repository, VersionState
from inference.runtime import Session
from inference.server import OPEN_INFERENCE, Server
from inference.settings import Settings
from inference.tokenization import Tokenizer
from protos.inference import open_inference_pb2 as oip
from protos.inference.open_inference_pb2_grpc import GRPCInferenceServiceStub
from protos.ner.v1 import entity_recognizer_pb2 as pb
from protos.ner.v1.entity_recognizer_pb2_grpc import EntityRecognizerStub
from tests.tiny_model import LABELS, WINDOW_TOKENS, rust_tokenizer, write_version

pytestmark = pytest.mark.timeout(60)


class GatedSession:
    """Runs the tiny model, but only while its gate is open."""

    def __init__(self, session: Runnable) -> None:
        self._session = session
        self.gate = threading.Event()
        self.entered = threading.Event()

    def run(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        self.entered.set()
        assert self.gate.wait(50)
        return self._session.run(ids, mask)


@pytest.fixture
def session(tmp_path: Path) -> GatedSession:
    """A model whose gate is shut."""
    folder = write_version(tmp_path / "tiny" / "1")
    return GatedSession(Session.load(folder / "model.onnx", 1, len(LABELS)))


@pytest.fixture
def metrics() -> Metrics:
    """What the server counts."""
    return Metrics()


@pytest.fixture
async def server(session: GatedSession, metrics: Metrics) -> AsyncIterator[Server]:
    """A server with this model and one worker."""
    tokenizer = Tokenizer(rust_tokenizer(), WINDOW_TOKENS)
    model = Model("tiny", "1", tokenizer, session, Decoder(LABELS))
    repository = Repository([VersionState("tiny", "1", live=True, model=model)], "tiny")
    settings = Settings(host="127.0.0.1", port=0, workers=1, hang_s=0.01)
    server = Server(settings, repository, metrics)
    await server.start()
    yield server
    session.gate.set()
    await server.drain()


@pytest.fixture
async def channel(server: Server) -> AsyncIterator[grpc.aio.Channel]:
    """A client's channel to the server."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield channel


def _recognize(channel: grpc.aio.Channel) -> Any:
    return EntityRecognizerStub(channel).Recognize(pb.RecognizeRequest(texts=["Paris"]))


def _classify(channel: grpc.aio.Channel) -> Any:
    return EntityRecognizerStub(channel).Classify(pb.ClassifyRequest(texts=["Paris"]))


def _stream(channel: grpc.aio.Channel) -> Any:
    item = pb.RecognizeStreamItem(id="1", text="Paris")
    return EntityRecognizerStub(channel).RecognizeStream(
        iter([pb.RecognizeStreamRequest(item=item)])
    )


def _infer(channel: grpc.aio.Channel) -> Any:
    request = oip.ModelInferRequest()
    request.inputs.add(name="text", datatype="BYTES", shape=[1]).contents.bytes_contents.append(
        b"Paris"
    )
    return GRPCInferenceServiceStub(channel).ModelInfer(request)


@pytest.mark.parametrize("call", [_recognize, _classify, _stream, _infer])
async def test_a_call_that_its_caller_cancels_is_counted_as_such(
    call: Callable[[grpc.aio.Channel], Any],
    channel: grpc.aio.Channel,
    session: GatedSession,
    metrics: Metrics,
) -> None:
    """Else the share of calls that were refused would grow when callers give up."""
    under_way = call(channel)
    await asyncio.to_thread(session.entered.wait, 30)
    under_way.cancel()
    async with asyncio.timeout(30):
        while _counted(metrics, "CANCELLED") != 1:  # noqa: ASYNC110 - a counter has no event
            await asyncio.sleep(0.01)
    session.gate.set()
    assert _counted(metrics, "OK") is None
    await _recognize(channel)
    assert (_counted(metrics, "OK"), _counted(metrics, "CANCELLED")) == (1, 1)
    assert metrics.registry.get_sample_value("inference_calls_in_flight") == 0


async def _health(channel: grpc.aio.Channel) -> bool:
    request = health_pb2.HealthCheckRequest(service=OPEN_INFERENCE)
    answer = await health_pb2_grpc.HealthStub(channel).Check(request, timeout=30)
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


async def _server_ready(channel: grpc.aio.Channel) -> bool:
    stub = GRPCInferenceServiceStub(channel)
    return bool((await stub.ServerReady(oip.ServerReadyRequest(), timeout=30)).ready)


async def _model_ready(channel: grpc.aio.Channel) -> bool:
    stub = GRPCInferenceServiceStub(channel)
    return bool((await stub.ModelReady(oip.ModelReadyRequest(name="tiny"), timeout=30)).ready)


async def _until_ready(channel: grpc.aio.Channel, *, ready: bool) -> None:
    for tells in (_health, _server_ready, _model_ready):
        async with asyncio.timeout(30):
            while await tells(channel) is not ready:  # noqa: ASYNC110 - as a probe sees it
                await asyncio.sleep(0.01)


async def test_while_a_run_hangs_nothing_is_ready_whichever_protocol_is_asked(
    channel: grpc.aio.Channel, session: GatedSession
) -> None:
    """Health and the two calls of the Open Inference Protocol say the same."""
    await _until_ready(channel, ready=True)
    hanging = _recognize(channel)
    await _until_ready(channel, ready=False)
    session.gate.set()
    await hanging
    await _until_ready(channel, ready=True)


def _counted(metrics: Metrics, outcome: str) -> float | None:
    return metrics.registry.get_sample_value("inference_calls_total", {"outcome": outcome})
