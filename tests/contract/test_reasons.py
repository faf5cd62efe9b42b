"""The reasons of errors are the same on both sides of the wire."""

from typing import TYPE_CHECKING, cast

import grpc
import pytest
from google.rpc import status_pb2
from grpc import StatusCode

from inference.core import Aggregation, OffsetUnit, Priority
from inference.errors import ModelNotFound, QueueFull, Reason, RecognitionError
from inference.servicers.classification import STRATEGIES
from inference.servicers.entity_recognizer import AGGREGATIONS, OFFSET_UNITS, PRIORITIES
from inference.servicers.status import STATUS_OF_REASON, abort, details, proto_reason
from protos.ner.v1 import entity_recognizer_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Iterable

_FIRST_GATEWAY_REASON = 100


def test_every_reason_stands_in_the_contract_and_none_is_missing() -> None:
    inference = {
        name for name, number in pb.ErrorReason.items() if 0 < number < _FIRST_GATEWAY_REASON
    }
    assert inference == {reason.value for reason in Reason}
    assert all(proto_reason(reason) > 0 for reason in Reason)


def test_every_reason_has_a_status() -> None:
    assert set(STATUS_OF_REASON) == set(Reason)


def test_only_a_draining_server_is_unavailable() -> None:
    """UNAVAILABLE for overload makes clients retry and multiplies the load."""
    unavailable = [r for r, code in STATUS_OF_REASON.items() if code is StatusCode.UNAVAILABLE]
    assert unavailable == [Reason.DRAINING]


def test_overload_says_when_to_come_back() -> None:
    status = details(QueueFull(1.25))
    assert status.code == StatusCode.RESOURCE_EXHAUSTED.value[0]
    assert [item.TypeName() for item in status.details] == [
        "google.rpc.ErrorInfo",
        "google.rpc.RetryInfo",
    ]


def test_other_errors_do_not_ask_to_come_back() -> None:
    assert len(details(RecognitionError(Reason.INTERNAL, "x")).details) == 1


@pytest.mark.parametrize("letter", ["a", "é", "\U0001f600"])
async def test_an_error_of_any_length_arrives_with_its_reason(letter: str) -> None:
    """One that is longer than gRPC's metadata may be, such as a list of a thousand models."""

    async def refuse(_: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        await abort(context, ModelNotFound(Reason.MODEL_NOT_FOUND, letter * 20_000))

    handlers = {"Refuse": grpc.unary_unary_rpc_method_handler(refuse)}
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("Test", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary("/Test/Refuse", bytes, bytes)(b"", timeout=10)
    await server.stop(None)
    metadata = dict(cast("Iterable[tuple[str, bytes]]", caught.value.trailing_metadata()))
    status = status_pb2.Status.FromString(metadata["grpc-status-details-bin"])
    assert caught.value.code() is StatusCode.NOT_FOUND
    assert caught.value.details() == status.message
    assert len(status.message.encode()) > 1_000
    assert set(status.message) == {letter, "…"}


def test_every_value_of_an_option_is_understood() -> None:
    assert set(AGGREGATIONS) == {number for _, number in pb.Aggregation.items()}
    assert set(AGGREGATIONS.values()) == set(Aggregation)
    assert set(STRATEGIES) == set(AGGREGATIONS)
    assert set(STRATEGIES.values()) == set(Aggregation)
    assert set(OFFSET_UNITS) == {number for _, number in pb.OffsetUnit.items()}
    assert set(OFFSET_UNITS.values()) == set(OffsetUnit)
    assert set(PRIORITIES) == {number for _, number in pb.Priority.items()}
    assert set(PRIORITIES.values()) == set(Priority)
