"""What a gRPC client may rely on in a stream: a real channel to a real server on loopback."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import grpc
import pytest

from inference.metrics import Metrics
from inference.repository import Repository
from inference.server import Server
from inference.settings import Settings
from protos.ner.v1 import entity_recognizer_pb2 as pb
from protos.ner.v1.entity_recognizer_pb2_grpc import EntityRecognizerStub
from tests.contract.test_recognize import failure, reason_of
from tests.tiny_model import write_version

if TYPE_CHECKING:
    from protos.ner.v1.entity_recognizer_pb2_grpc import EntityRecognizerAsyncStub

pytestmark = pytest.mark.timeout(60)

Call: TypeAlias = "grpc.aio.StreamStreamCall[pb.RecognizeStreamRequest, pb.RecognizeStreamResponse]"

_PENDING = 8
_QUEUE_TOKENS = 4_000
# Kilobytes each way. What gRPC buffers follows the round trip: some megabytes, and once on a busy
# day more than 18; these are 90 at most, of which no more are sent than it takes.
_BIG = "Paris " * 200 + "\u3000" * 7_000
_MANY = 4_000


@pytest.fixture
def metrics() -> Metrics:
    """What the server counts."""
    return Metrics()


@pytest.fixture
async def server(tmp_path: Path, metrics: Metrics) -> AsyncIterator[Server]:
    """A server with the tiny model, few slots and a small queue."""
    write_version(tmp_path / "tiny" / "1")
    settings = Settings(
        host="127.0.0.1",
        port=0,
        stream_pending_items=_PENDING,
        queue_tokens=_QUEUE_TOKENS,
        max_text_chars=9_000,
    )
    repository = Repository.load(tmp_path, "", settings.window_tokens, threads=1)
    server = Server(settings, repository, metrics)
    await server.start()
    yield server
    await server.drain()


@pytest.fixture
async def stub(server: Server) -> AsyncIterator["EntityRecognizerAsyncStub"]:
    """A client of the service."""
    # Without probing, answers that nobody reads may be in flight up to 64 KiB.
    options = [("grpc.http2.bdp_probe", 0)]
    address = f"127.0.0.1:{server.port}"
    async with grpc.aio.insecure_channel(address, options) as channel:
        yield EntityRecognizerStub(channel)


def item(number: int, text: str) -> pb.RecognizeStreamRequest:
    """An item with a number as its id."""
    return pb.RecognizeStreamRequest(item=pb.RecognizeStreamItem(id=str(number), text=text))


def start(**fields: Any) -> pb.RecognizeStreamRequest:
    """The first message of a stream."""
    return pb.RecognizeStreamRequest(start=pb.RecognizeStreamStart(**fields))


async def stream(
    stub: "EntityRecognizerAsyncStub", messages: Sequence[pb.RecognizeStreamRequest]
) -> list[pb.RecognizeStreamResponse]:
    """Sends all and reads all at the same time."""
    return [answer async for answer in stub.RecognizeStream(iter(messages), timeout=30)]


def open_call(stub: "EntityRecognizerAsyncStub") -> Call:
    """A stream to write to."""
    return stub.RecognizeStream()  # type: ignore[call-arg]  # its argument is optional


def pending(metrics: Metrics) -> float | None:
    """Items that the server holds."""
    return metrics.registry.get_sample_value("inference_stream_items_pending")


def waiting(metrics: Metrics) -> float | None:
    """Tokens that wait for a worker."""
    return metrics.registry.get_sample_value("inference_waiting_tokens")


async def test_items_are_answered_in_order_as_recognize_answers(
    stub: "EntityRecognizerAsyncStub",
) -> None:
    texts = ["Angela Merkel visited Seoul.", "Apple", "of " * 300 + "Paris", "Tim Cook"] * 30
    answers = await stream(stub, [start(), *(item(n, text) for n, text in enumerate(texts))])
    assert [answer.id for answer in answers] == [str(n) for n in range(len(texts))]
    alone = [await stub.Recognize(pb.RecognizeRequest(texts=[text])) for text in texts[:4]]
    assert [answer.result for answer in answers] == [one.results[0] for one in alone] * 30
    assert {(answer.model, answer.version) for answer in answers} == {("tiny", "1")}


async def test_options_hold_for_every_item(stub: "EntityRecognizerAsyncStub") -> None:
    options = pb.RecognizeOptions(labels=["LOC"], offset_unit=pb.BYTE)
    first = start(model="tiny", version="1", options=options)
    answers = await stream(stub, [first, *(item(n, "\U0001f600 Tim in Paris") for n in range(3))])
    found = [[(e.label, e.start) for e in answer.result.entities.entities] for answer in answers]
    assert found == [[("LOC", 12)]] * 3


async def test_without_a_start_the_options_have_their_defaults(
    stub: "EntityRecognizerAsyncStub",
) -> None:
    (answer,) = await stream(stub, [item(1, "Paris")])
    assert answer.result.entities.entities[0].label == "LOC"
    assert await stream(stub, []) == []
    assert await stream(stub, [start()]) == []


async def test_an_item_that_fails_does_not_end_the_stream(
    stub: "EntityRecognizerAsyncStub",
) -> None:
    texts = ["Paris", "", "x" * 9_001, "a, " * 2_900, "Seoul"]
    answers = await stream(stub, [item(n, text) for n, text in enumerate(texts)])
    assert [answer.result.WhichOneof("outcome") for answer in answers] == [
        "entities",
        "error",
        "error",
        "error",
        "entities",
    ]
    reasons = [answer.result.error.reason for answer in answers[1:4]]
    assert reasons == [pb.TEXT_EMPTY, pb.TEXT_TOO_LONG, pb.TEXT_TOO_LONG]
    assert [answer.id for answer in answers] == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize(
    ("fields", "code", "reason"),
    [
        ({"model": "none"}, grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND"),
        ({"version": "2"}, grpc.StatusCode.NOT_FOUND, "VERSION_NOT_FOUND"),
        (
            {"options": pb.RecognizeOptions(labels=["CAT"])},
            grpc.StatusCode.INVALID_ARGUMENT,
            "LABEL_UNKNOWN",
        ),
        (
            {"options": pb.RecognizeOptions(min_score=2)},
            grpc.StatusCode.INVALID_ARGUMENT,
            "OPTION_INVALID",
        ),
    ],
)
async def test_options_that_answer_nothing_end_the_stream_at_once(
    stub: "EntityRecognizerAsyncStub", fields: dict[str, Any], code: grpc.StatusCode, reason: str
) -> None:
    """The caller has not ended his side: he is told before he sends an item."""
    call = open_call(stub)
    await call.write(start(**fields))
    found, _, details = await failure(call.read())
    assert (found, reason_of(details)) == (code, reason)


async def test_accepted_options_are_told_before_the_first_item(
    stub: "EntityRecognizerAsyncStub",
) -> None:
    call = open_call(stub)
    await call.write(start())
    await asyncio.wait_for(call.initial_metadata(), 10)
    await call.done_writing()
    assert not isinstance(await call.read(), pb.RecognizeStreamResponse), "the end of the stream"


async def test_a_late_start_ends_the_stream_after_what_was_before_it(
    stub: "EntityRecognizerAsyncStub",
) -> None:
    call = stub.RecognizeStream(iter([item(1, "Paris"), start()]))
    answer = await call.read()
    assert isinstance(answer, pb.RecognizeStreamResponse)
    assert answer.id == "1"
    code, _, details = await failure(call.read())
    assert (code, reason_of(details)) == (grpc.StatusCode.INVALID_ARGUMENT, "OPTION_INVALID")


async def test_a_slow_reader_is_slowed_and_nobody_else(
    stub: "EntityRecognizerAsyncStub", metrics: Metrics
) -> None:
    """The server reads no further than its slots, and answers others in the meantime."""
    call = open_call(stub)
    written, stopped = 0, False

    async def write() -> None:
        nonlocal written
        while written < _MANY and not stopped:
            await call.write(item(written, _BIG))
            written += 1
        await call.done_writing()

    writing = asyncio.create_task(write())
    before = -1
    while before != written or pending(metrics) != _PENDING:
        before = written
        for _ in range(20):
            response = await stub.Recognize(pb.RecognizeRequest(texts=["Paris"]), timeout=30)
            assert len(response.results[0].entities.entities) == 1
            assert (pending(metrics) or 0) <= _PENDING
    assert not writing.done()
    assert written < _MANY

    stopped = True
    ids = []
    async for answer in call:
        ids.append(answer.id)
        assert len(answer.result.entities.entities) == 200
        assert (pending(metrics) or 0) <= _PENDING
    await writing
    assert ids == [str(number) for number in range(written)]
    assert pending(metrics) == 0


async def test_a_full_queue_makes_items_wait_and_not_fail(
    stub: "EntityRecognizerAsyncStub",
) -> None:
    """Each item takes more than half of the queue."""
    text = "a b " * 1_200
    streams = (stream(stub, [item(n, text) for n in range(10)]) for _ in range(3))
    for answers in await asyncio.gather(*streams):
        assert [answer.result.WhichOneof("outcome") for answer in answers] == ["entities"] * 10


async def test_a_cancelled_stream_leaves_nothing_behind(
    stub: "EntityRecognizerAsyncStub", metrics: Metrics
) -> None:
    call = open_call(stub)
    for number in range(3 * _PENDING):
        await call.write(item(number, _BIG))
    await call.read()
    call.cancel()
    async with asyncio.timeout(30):
        while pending(metrics) or waiting(metrics):  # noqa: ASYNC110 - a gauge has no event
            await asyncio.sleep(0.01)
    (answer,) = await stream(stub, [item(1, "Paris")])
    assert len(answer.result.entities.entities) == 1


async def test_draining_answers_what_was_read_and_says_so(
    server: Server, stub: "EntityRecognizerAsyncStub"
) -> None:
    call = open_call(stub)
    for number in range(3):
        await call.write(item(number, "Paris"))
    first = await call.read()
    assert isinstance(first, pb.RecognizeStreamResponse)
    draining = asyncio.create_task(server.drain())
    answered = [first.id]
    code = None
    try:
        while isinstance(answer := await call.read(), pb.RecognizeStreamResponse):
            answered.append(answer.id)
    except grpc.aio.AioRpcError as error:
        code = error.code()
    assert code == grpc.StatusCode.UNAVAILABLE
    assert answered == ["0", "1", "2"][: len(answered)]
    await draining


async def test_draining_does_not_wait_for_a_stream_that_has_said_nothing(
    server: Server, stub: "EntityRecognizerAsyncStub"
) -> None:
    """It would for as long as calls may run, and then cut the stream without a word."""
    call = open_call(stub)
    for _ in range(3):  # over the same connection, behind the stream
        await stub.Recognize(pb.RecognizeRequest(texts=["Paris"]))
    draining = asyncio.create_task(server.drain())
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    assert "DRAINING" in str(caught.value.trailing_metadata())
    await draining
