"""A model that raises, gives no numbers, or hangs, in a real process."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gateway.service_config import REPLICA_HEALTH
from protos.ner.v1 import entity_recognizer_pb2 as pb
from protos.ner.v1.entity_recognizer_pb2_grpc import EntityRecognizerStub
from tests.chaos.bad_model import HANGS, NO_NUMBERS, RAISES, write_bad_version
from tests.e2e.stack import WAIT_S, Process, free_ports, started, until

if TYPE_CHECKING:
    from protos.ner.v1.entity_recognizer_pb2_grpc import EntityRecognizerAsyncStub

pytestmark = pytest.mark.timeout(120)

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
_SETTINGS = {
    "INFERENCE_WORKERS": "2",
    "INFERENCE_THREADS_PER_WORKER": "1",
    "INFERENCE_HANG_S": "0.5",
    "INFERENCE_DRAIN_TIMEOUT_S": "1",
}


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A repository with the bad model."""
    write_bad_version(tmp_path / "models" / "bad" / "1")
    return tmp_path / "models"


@contextmanager
def _serving(models: Path, folder: Path, hang_exit_s: str) -> Iterator[Process]:
    settings = {**_SETTINGS, "INFERENCE_MODELS_DIR": str(models)}
    settings["INFERENCE_HANG_EXIT_S"] = hang_exit_s
    with started(folder, free_ports(), "inference", **settings) as process:
        until(lambda: "inference_listening" in process.said(), process)
        yield process


@pytest.fixture
def inference(models: Path, tmp_path: Path) -> Iterator[Process]:
    """An inference service that serves it, and never gives itself up."""
    with _serving(models, tmp_path / "inference", "0") as process:
        yield process


@asynccontextmanager
async def _channel(process: Process) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(process.ports.grpc_address) as channel:
        yield channel


async def _ask(channel: grpc.aio.Channel, *texts: str, timeout_s: float = 30) -> list[str]:
    """What each text was answered: its entities, or the reason of its error."""
    stub: EntityRecognizerAsyncStub = EntityRecognizerStub(channel)
    response = await stub.Recognize(pb.RecognizeRequest(texts=texts), timeout=timeout_s)
    return [
        pb.ErrorReason.Name(result.error.reason)
        if result.HasField("error")
        else " ".join(entity.text for entity in result.entities.entities)
        for result in response.results
    ]


async def _health(channel: grpc.aio.Channel, service: str) -> int:
    stub = health_pb2_grpc.HealthStub(channel)
    answer = await stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=30)
    return int(answer.status)


async def _until_health(channel: grpc.aio.Channel, service: str, status: int) -> None:
    async with asyncio.timeout(WAIT_S):
        while await _health(channel, service) != status:  # noqa: ASYNC110 - as a probe sees it
            await asyncio.sleep(0.05)


async def test_a_text_on_which_the_model_raises_or_gives_no_numbers_fails_alone(
    inference: Process,
) -> None:
    """No text is answered with garbage, no neighbour is lost: of 60 texts the guilty 20 fail."""
    async with _channel(inference) as channel:
        texts = ["apple", RAISES, "seoul", f"the {NO_NUMBERS} met", "paris", "angela merkel"]
        answered = await asyncio.gather(*(_ask(channel, *texts) for _ in range(10)))
    expected = ["apple", "INTERNAL", "seoul", "INTERNAL", "paris", "angela merkel"]
    assert answered == [expected] * 10


async def test_a_worker_that_hangs_makes_the_process_unhealthy_and_the_others_go_on(
    inference: Process,
) -> None:
    """The caller of the guilty text has his deadline; nobody else loses an answer."""
    async with _channel(inference) as channel:
        assert await _health(channel, REPLICA_HEALTH) == _SERVING
        hanging = asyncio.create_task(_ask(channel, HANGS, timeout_s=3))
        await _until_health(channel, "", _NOT_SERVING)
        assert await _health(channel, REPLICA_HEALTH) == _NOT_SERVING
        assert await _ask(channel, "apple") == ["apple"], "what still comes is answered"
        async with httpx.AsyncClient() as http:
            metrics = (await http.get(f"http://127.0.0.1:{inference.ports.metrics}/metrics")).text
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await hanging
    assert "inference_hanging_workers 1.0" in metrics
    assert '"worker_hangs"' in inference.said()
    assert error.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    inference.process.terminate()
    assert inference.wait() == 1, "it ends all the same, and says that it did not end well"


async def test_a_process_whose_worker_hangs_for_good_ends_itself(
    models: Path, tmp_path: Path
) -> None:
    """Whoever supervises it starts another: docker restarts what ended, not what is unhealthy."""
    with _serving(models, tmp_path / "inference", "1") as inference:
        async with _channel(inference) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await _ask(channel, HANGS)
        assert error.value.code() is grpc.StatusCode.UNAVAILABLE
        assert await asyncio.to_thread(inference.wait) == 1
        assert '"worker_hangs_for_good"' in inference.said()
