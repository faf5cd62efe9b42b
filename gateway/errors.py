"""The error of the gateway, by the place in the data flow where each reason is raised.

    GatewayError                 a request that is answered with a problem instead of a result
    │
    ├── at the socket            MALFORMED_HTTP, HEADERS_TOO_LARGE, REQUEST_TIMEOUT,
    │                            TOO_MANY_CONNECTIONS, BODY_TOO_LARGE, BODIES_FULL
    ├── at the door              UNAUTHENTICATED, FORBIDDEN, RATE_LIMITED, KEYS_UNAVAILABLE,
    │                            LIMITS_UNAVAILABLE
    ├── at the router            ROUTE_NOT_FOUND, METHOD_NOT_ALLOWED
    ├── at the schema            UNSUPPORTED_MEDIA_TYPE, MALFORMED_JSON, FIELD_INVALID,
    │                            TEXT_EMPTY, NO_TEXTS, OPTION_INVALID, TENSOR_INVALID
    ├── by the inference service TEXT_EMPTY, TEXT_TOO_LONG, NO_TEXTS, TOO_MANY_TEXTS,
    │                            MODEL_NOT_FOUND, VERSION_NOT_FOUND, LABEL_UNKNOWN,
    │                            OPTION_INVALID, QUEUE_FULL, DEADLINE_EXCEEDED, DRAINING, INTERNAL,
    │                            MODEL_CONTROL_OFF, MODEL_INVALID
    └── by its absence           INFERENCE_UNAVAILABLE, DEADLINE_EXCEEDED

One class, because every reason is acted on alike: its status stands in a table, its detail is for a
person and never repeats the text. Any other exception is a fault and is answered as INTERNAL.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Reason(StrEnum):
    """Why a request failed; the names are those of `ner.v1.ErrorReason`."""

    TEXT_EMPTY = "TEXT_EMPTY"
    TEXT_TOO_LONG = "TEXT_TOO_LONG"
    NO_TEXTS = "NO_TEXTS"
    TOO_MANY_TEXTS = "TOO_MANY_TEXTS"
    MODEL_NOT_FOUND = "MODEL_NOT_FOUND"
    VERSION_NOT_FOUND = "VERSION_NOT_FOUND"
    LABEL_UNKNOWN = "LABEL_UNKNOWN"
    OPTION_INVALID = "OPTION_INVALID"
    QUEUE_FULL = "QUEUE_FULL"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    DRAINING = "DRAINING"
    INTERNAL = "INTERNAL"
    TENSOR_INVALID = "TENSOR_INVALID"
    MODEL_CONTROL_OFF = "MODEL_CONTROL_OFF"
    MODEL_INVALID = "MODEL_INVALID"
    MALFORMED_JSON = "MALFORMED_JSON"
    FIELD_INVALID = "FIELD_INVALID"
    BODY_TOO_LARGE = "BODY_TOO_LARGE"
    UNSUPPORTED_MEDIA_TYPE = "UNSUPPORTED_MEDIA_TYPE"
    ROUTE_NOT_FOUND = "ROUTE_NOT_FOUND"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    INFERENCE_UNAVAILABLE = "INFERENCE_UNAVAILABLE"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    RATE_LIMITED = "RATE_LIMITED"
    REQUEST_TIMEOUT = "REQUEST_TIMEOUT"
    HEADERS_TOO_LARGE = "HEADERS_TOO_LARGE"
    MALFORMED_HTTP = "MALFORMED_HTTP"
    TOO_MANY_CONNECTIONS = "TOO_MANY_CONNECTIONS"
    KEYS_UNAVAILABLE = "KEYS_UNAVAILABLE"
    LIMITS_UNAVAILABLE = "LIMITS_UNAVAILABLE"
    BODIES_FULL = "BODIES_FULL"


STATUS_BY_REASON: Final[Mapping[Reason, int]] = MappingProxyType(
    {
        Reason.MALFORMED_JSON: 400,
        Reason.MALFORMED_HTTP: 400,
        Reason.UNAUTHENTICATED: 401,
        Reason.FORBIDDEN: 403,
        Reason.MODEL_CONTROL_OFF: 403,
        Reason.MODEL_NOT_FOUND: 404,
        Reason.VERSION_NOT_FOUND: 404,
        Reason.ROUTE_NOT_FOUND: 404,
        Reason.METHOD_NOT_ALLOWED: 405,
        Reason.REQUEST_TIMEOUT: 408,
        Reason.MODEL_INVALID: 409,
        Reason.BODY_TOO_LARGE: 413,
        Reason.UNSUPPORTED_MEDIA_TYPE: 415,
        Reason.FIELD_INVALID: 422,
        Reason.TEXT_EMPTY: 422,
        Reason.TEXT_TOO_LONG: 422,
        Reason.NO_TEXTS: 422,
        Reason.TOO_MANY_TEXTS: 422,
        Reason.LABEL_UNKNOWN: 422,
        Reason.OPTION_INVALID: 422,
        Reason.TENSOR_INVALID: 422,
        Reason.QUEUE_FULL: 429,
        Reason.RATE_LIMITED: 429,
        Reason.BODIES_FULL: 429,
        Reason.HEADERS_TOO_LARGE: 431,
        Reason.INTERNAL: 500,
        Reason.DRAINING: 503,
        Reason.INFERENCE_UNAVAILABLE: 503,
        Reason.TOO_MANY_CONNECTIONS: 503,
        Reason.KEYS_UNAVAILABLE: 503,
        Reason.LIMITS_UNAVAILABLE: 503,
        Reason.DEADLINE_EXCEEDED: 504,
    }
)

# Seconds after which a caller may try again when the inference service did not say. One second is
# the least that `Retry-After` can say, and the longest pause between two attempts to reconnect.
_RETRY_AFTER_S: Final[Mapping[Reason, int]] = MappingProxyType(
    {
        Reason.QUEUE_FULL: 1,
        Reason.RATE_LIMITED: 1,
        Reason.BODIES_FULL: 1,
        Reason.DRAINING: 1,
        Reason.INFERENCE_UNAVAILABLE: 1,
        Reason.TOO_MANY_CONNECTIONS: 1,
        Reason.KEYS_UNAVAILABLE: 1,
        Reason.LIMITS_UNAVAILABLE: 1,
    }
)


# Of what the inference service says: more helps nobody.
MAX_DETAIL_CHARS: Final = 300
INTERNAL_DETAIL: Final = "internal error: quote the request id when you report it"


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field of the body or one header.

    Attributes:
        field: where it stands, such as `texts.3`; empty for the body as a whole.
        detail: what was expected; never what was sent.
    """

    field: str
    detail: str


class GatewayError(Exception):
    """A request that is answered with a problem.

    Args:
        reason: stable name of the cause.
        detail: for a person; says what to change and never repeats the text.
        fields: the fields at fault, for FIELD_INVALID.
        retry_after_s: whole seconds, at least 1, after which the caller may try again; None takes
            the default of the reason.
    """

    def __init__(
        self,
        reason: Reason,
        detail: str,
        *,
        fields: tuple[FieldError, ...] = (),
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail
        self.fields = fields
        self.retry_after_s = _RETRY_AFTER_S.get(reason) if retry_after_s is None else retry_after_s

    @property
    def status(self) -> int:
        """The HTTP status of the answer."""
        return STATUS_BY_REASON[self.reason]
