import grpc
import pytest
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Reason
from gateway.rpc_status import FALLBACKS, error_from_rpc


def _details(
    reason: str, message: str = "", domain: str = "nerve", retry_ns: int | None = None
) -> bytes:
    status = status_pb2.Status(message=message)
    info = any_pb2.Any()
    info.Pack(error_details_pb2.ErrorInfo(domain=domain, reason=reason))
    status.details.append(info)
    if retry_ns is not None:
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(retry_ns)
        retry = any_pb2.Any()
        retry.Pack(error_details_pb2.RetryInfo(retry_delay=delay))
        status.details.append(retry)
    return bytes(status.SerializeToString())


def test_every_status_has_a_meaning() -> None:
    assert set(FALLBACKS) == set(grpc.StatusCode)


@pytest.mark.parametrize("reason", [r for r in Reason if r is not Reason.INTERNAL])
def test_every_reason_is_taken_from_the_details(reason: Reason) -> None:
    error = error_from_rpc(grpc.StatusCode.UNKNOWN, _details(reason, "change this"))
    assert (error.reason, error.detail) == (reason, "change this")


def test_a_fault_of_the_inference_service_says_nothing_of_its_inside() -> None:
    error = error_from_rpc(grpc.StatusCode.INTERNAL, _details("INTERNAL", "KeyError: secret"))
    assert error.reason is Reason.INTERNAL
    assert "secret" not in error.detail


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (grpc.StatusCode.UNAVAILABLE, Reason.INFERENCE_UNAVAILABLE),
        (grpc.StatusCode.CANCELLED, Reason.INFERENCE_UNAVAILABLE),
        (grpc.StatusCode.DEADLINE_EXCEEDED, Reason.DEADLINE_EXCEEDED),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, Reason.BODY_TOO_LARGE),
        (grpc.StatusCode.INVALID_ARGUMENT, Reason.INTERNAL),
        (grpc.StatusCode.UNKNOWN, Reason.INTERNAL),
    ],
)
def test_without_details_the_status_speaks(code: grpc.StatusCode, reason: Reason) -> None:
    assert error_from_rpc(code, None).reason is reason


@pytest.mark.parametrize(
    "details",
    [
        b"\xff\xff",
        _details("TEXT_EMPTY", domain="elsewhere.example"),
        _details("A_REASON_OF_NEXT_YEAR"),
    ],
    ids=["garbage", "foreign domain", "unknown reason"],
)
def test_details_that_are_not_ours_are_ignored(details: bytes) -> None:
    error = error_from_rpc(grpc.StatusCode.UNAVAILABLE, details)
    assert error.reason is Reason.INFERENCE_UNAVAILABLE


@pytest.mark.parametrize(
    ("retry_ns", "retry_after_s"),
    [(0, 1), (1, 1), (1_000_000_000, 1), (1_000_000_001, 2), (90_500_000_000, 91)],
)
def test_the_time_to_retry_is_rounded_up_to_whole_seconds(
    retry_ns: int, retry_after_s: int
) -> None:
    details = _details("QUEUE_FULL", retry_ns=retry_ns)
    error = error_from_rpc(grpc.StatusCode.RESOURCE_EXHAUSTED, details)
    assert error.retry_after_s == retry_after_s


@given(st.sampled_from(grpc.StatusCode), st.none() | st.binary(max_size=200))
def test_any_failure_has_a_translation(code: grpc.StatusCode, details: bytes | None) -> None:
    assert error_from_rpc(code, details).status >= 400
