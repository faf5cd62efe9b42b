"""How a stream ends whose caller has gone: real answers, and a call that takes none any more."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, NoReturn, cast

import pytest

from inference.batch_queue import BatchQueue
from inference.batcher import Batcher
from inference.engine import Engine, Limits
from inference.metrics import Metrics
from inference.repository import Model, Repository, VersionState
from inference.servicers.entity_recognizer import RecognizerServicer
from protos.ner.v1 import entity_recognizer_pb2 as pb


class GoneContext:
    """A call that has ended: whatever is written to it raises."""

    def time_remaining(self) -> None:
        """None: there is no deadline."""

    def invocation_metadata(self) -> None:
        """None was sent."""

    async def send_initial_metadata(self, metadata: Any) -> None:
        """Takes it: the call ends later."""

    async def write(self, response: pb.RecognizeStreamResponse) -> NoReturn:
        """Raises as gRPC does."""
        raise RuntimeError("RPC already finished.")


@pytest.fixture
def metrics() -> Metrics:
    """What the service counts."""
    return Metrics()


@pytest.fixture
async def servicer(model: Model, metrics: Metrics) -> AsyncIterator[RecognizerServicer]:
    """The service with the tiny model."""
    repository = Repository([VersionState("tiny", "1", live=True, model=model)], "tiny")
    batcher = Batcher(BatchQueue(256, 4_000), 1, metrics)
    batcher.start()
    engine = Engine(repository, batcher, Limits(4, 1_000, 4_000))
    yield RecognizerServicer(engine, metrics, 8)
    await asyncio.to_thread(batcher.close)
    engine.close()


async def test_a_stream_whose_answers_cannot_be_written_is_counted_as_cancelled(
    servicer: RecognizerServicer, metrics: Metrics
) -> None:
    async def requests() -> AsyncIterator[pb.RecognizeStreamRequest]:
        for number in range(3):
            item = pb.RecognizeStreamItem(id=str(number), text="Paris")
            yield pb.RecognizeStreamRequest(item=item)

    await asyncio.wait_for(servicer.RecognizeStream(requests(), cast("Any", GoneContext())), 10)
    counted = [
        metrics.registry.get_sample_value("inference_calls_total", {"outcome": outcome})
        for outcome in ("OK", "CANCELLED")
    ]
    assert counted == [None, 1]
