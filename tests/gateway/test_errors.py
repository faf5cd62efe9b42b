from gateway.errors import STATUS_BY_REASON, GatewayError, Reason
from protos.ner.v1 import entity_recognizer_pb2 as pb


def test_every_reason_of_the_contract_is_known() -> None:
    """A reason added to the .proto fails here until the gateway knows it."""
    assert {reason.value for reason in Reason} == set(pb.ErrorReason.keys()) - {
        "ERROR_REASON_UNSPECIFIED"
    }


def test_every_reason_has_a_status() -> None:
    assert set(STATUS_BY_REASON) == set(Reason)
    assert all(400 <= GatewayError(reason, "").status <= 599 for reason in Reason)


def test_only_what_may_pass_says_when_to_retry() -> None:
    assert {r for r in Reason if GatewayError(r, "").retry_after_s is not None} == {
        Reason.QUEUE_FULL,
        Reason.RATE_LIMITED,
        Reason.DRAINING,
        Reason.INFERENCE_UNAVAILABLE,
        Reason.TOO_MANY_CONNECTIONS,
        Reason.KEYS_UNAVAILABLE,
        Reason.LIMITS_UNAVAILABLE,
        Reason.BODIES_FULL,
    }
    assert GatewayError(Reason.QUEUE_FULL, "", retry_after_s=7).retry_after_s == 7
