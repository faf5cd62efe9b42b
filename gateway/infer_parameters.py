"""The parameters of a request of the Open Inference Protocol."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, TypeVar

from gateway.errors import GatewayError, Reason
from gateway.wire import AGGREGATIONS, OFFSET_UNITS, PRIORITIES
from protos.ner.v1 import entity_recognizer_pb2 as pb

Value = bool | int | float | str
_Chosen = TypeVar("_Chosen")

_US_PER_S: Final = 1e6


@dataclass(frozen=True, slots=True)
class InferOptions:
    """What the parameters of a request ask for."""

    recognize: pb.RecognizeOptions = field(default_factory=pb.RecognizeOptions)
    timeout_s: float | None = None
    is_binary: bool = False  # the answer after the JSON, unless the output says otherwise


def read_options(parameters: Mapping[str, Value]) -> InferOptions:
    """Read the parameters of a request.

    Raises:
        GatewayError: OPTION_INVALID; one is unknown, or has a value that cannot be used.
    """
    if not parameters.keys() <= READERS.keys():
        raise _invalid(f"a parameter is unknown: those of a request are {', '.join(READERS)}")
    found: dict[str, Any] = {name: READERS[name](value) for name, value in parameters.items()}
    timeout_s: float | None = found.pop("timeout", None)
    is_binary: bool = found.pop("binary_data_output", False)
    return InferOptions(pb.RecognizeOptions(**found), timeout_s, is_binary)


def read_flag(name: str, value: Value) -> bool:
    """Read a parameter that is true or false.

    Raises:
        GatewayError: OPTION_INVALID.
    """
    if not isinstance(value, bool):
        raise _invalid(f"{name} must be true or false")
    return value


def _labels(value: Value) -> list[str]:
    if not isinstance(value, str):
        raise _invalid("labels must be a string, the labels separated by commas")
    return [label.strip() for label in value.split(",") if label.strip()]


def _min_score(value: Value) -> float:
    error = _invalid("min_score must be a number from 0 to 1")
    if isinstance(value, bool):
        raise error
    try:
        score = float(value)
    except (ValueError, OverflowError):
        raise error from None
    if not 0 <= score <= 1:
        raise error
    return score


def _priority(value: Value) -> pb.Priority.ValueType:
    if isinstance(value, bool) or not isinstance(value, int):
        return _choice("priority", PRIORITIES)(value)
    if value < 0:
        raise _invalid("priority must be interactive, bulk or a level from 0")
    # Triton's levels: 0 is the default, 1 the highest, and all others come after that.
    return pb.Priority.INTERACTIVE if value <= 1 else pb.Priority.BULK


def _timeout_s(value: Value) -> float:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 2**63:
        raise _invalid("timeout must be a whole number of microseconds, at least 1")
    return value / _US_PER_S


def _choice(name: str, choices: Mapping[Any, _Chosen]) -> Callable[[Value], _Chosen]:
    def read(value: Value) -> _Chosen:
        if value not in choices:
            raise _invalid(f"{name} must be one of {', '.join(choices)}")
        return choices[value]

    return read


def _invalid(detail: str) -> GatewayError:
    return GatewayError(Reason.OPTION_INVALID, detail)


READERS: Final[Mapping[str, Callable[[Value], object]]] = MappingProxyType(
    {
        "labels": _labels,
        "min_score": _min_score,
        "aggregation": _choice("aggregation", AGGREGATIONS),
        "offset_unit": _choice("offset_unit", OFFSET_UNITS),
        "priority": _priority,
        "timeout": _timeout_s,
        "binary_data_output": lambda value: read_flag("binary_data_output", value),
    }
)
