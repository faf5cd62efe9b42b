"""The reasons of errors are the same on both sides of the wire."""

from grpc import StatusCode

from inference.core import Aggregation, OffsetUnit, Priority
from inference.errors import QueueFull, Reason, RecognitionError
from inference.servicers.classification import STRATEGIES
from inference.servicers.entity_recognizer import AGGREGATIONS, OFFSET_UNITS, PRIORITIES
from inference.servicers.status import STATUS_OF_REASON, details, proto_reason
from protos.ner.v1 import entity_recognizer_pb2 as pb

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


def test_every_value_of_an_option_is_understood() -> None:
    assert set(AGGREGATIONS) == {number for _, number in pb.Aggregation.items()}
    assert set(AGGREGATIONS.values()) == set(Aggregation)
    assert set(STRATEGIES) == set(AGGREGATIONS)
    assert set(STRATEGIES.values()) == set(Aggregation)
    assert set(OFFSET_UNITS) == {number for _, number in pb.OffsetUnit.items()}
    assert set(OFFSET_UNITS.values()) == set(OffsetUnit)
    assert set(PRIORITIES) == {number for _, number in pb.Priority.items()}
    assert set(PRIORITIES.values()) == set(Priority)
