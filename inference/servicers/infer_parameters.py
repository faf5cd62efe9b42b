"""The parameters of a request of the Open Inference Protocol."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

import numpy as np

from inference.core import Aggregation, OffsetUnit, Priority
from inference.errors import Reason, RequestInvalid
from protos.inference import open_inference_pb2 as pb

_NS_PER_US = 1_000
# A day, in microseconds: longer is as good as no timeout.
_LONGEST_TIMEOUT_US = 86_400_000_000
_NUMBERS = ("double_param", "int64_param", "uint64_param", "string_param")

_Option = TypeVar("_Option", bound=Enum)


@dataclass(frozen=True, slots=True)
class Options:
    """What the parameters of a request ask for."""

    labels: frozenset[str] = frozenset()
    min_score: float | None = None
    aggregation: Aggregation = Aggregation.FIRST
    offset_unit: OffsetUnit = OffsetUnit.CODEPOINT
    priority: Priority = Priority.INTERACTIVE
    timeout_ns: int | None = None


def read_options(parameters: Mapping[str, pb.InferParameter]) -> Options:
    """Reads the parameters of a request.

    Raises:
        RequestInvalid: OPTION_INVALID; one is unknown, or has a value that cannot be used.
    """
    found: dict[str, Any] = {}
    for name, parameter in parameters.items():
        if name in IGNORED:
            continue
        read = READERS.get(name)
        if read is None:
            raise RequestInvalid(
                Reason.OPTION_INVALID,
                f"a parameter is unknown: those of a request are {', '.join(READERS)}",
            )
        found[f"{name}_ns" if name == "timeout" else name] = read(parameter)
    return Options(**found)


def _labels(parameter: pb.InferParameter) -> frozenset[str]:
    names = (name.strip() for name in _text("labels", parameter).split(","))
    return frozenset(name for name in names if name)


def _min_score(parameter: pb.InferParameter) -> float:
    error = RequestInvalid(Reason.OPTION_INVALID, "min_score must be a number from 0 to 1")
    kind = parameter.WhichOneof("parameter_choice")
    if kind not in _NUMBERS:
        raise error
    try:
        score = float(getattr(parameter, kind))
    except ValueError:
        raise error from None
    if not 0 <= score <= 1:
        raise error
    # `ner.v1` has it in single precision: the same number must let the same entities through.
    return float(np.float32(score))


def _aggregation(parameter: pb.InferParameter) -> Aggregation:
    return _one_of(Aggregation, "aggregation", parameter)


def _offset_unit(parameter: pb.InferParameter) -> OffsetUnit:
    return _one_of(OffsetUnit, "offset_unit", parameter)


def _priority(parameter: pb.InferParameter) -> Priority:
    kind = parameter.WhichOneof("parameter_choice")
    if kind == "string_param":
        return _one_of(Priority, "priority", parameter)
    if kind not in ("int64_param", "uint64_param") or getattr(parameter, kind) < 0:
        raise RequestInvalid(
            Reason.OPTION_INVALID, "priority must be interactive, bulk or a level from 0"
        )
    # Triton's levels: 0 is the default, 1 the highest, and all others come after that.
    return Priority.INTERACTIVE if getattr(parameter, kind) <= 1 else Priority.BULK


def _timeout_ns(parameter: pb.InferParameter) -> int:
    kind = parameter.WhichOneof("parameter_choice")
    if kind not in ("int64_param", "uint64_param") or getattr(parameter, kind) < 1:
        raise RequestInvalid(
            Reason.OPTION_INVALID, "timeout must be a whole number of microseconds, at least 1"
        )
    microseconds: int = getattr(parameter, kind)
    return min(microseconds, _LONGEST_TIMEOUT_US) * _NS_PER_US


def _one_of(options: type[_Option], name: str, parameter: pb.InferParameter) -> _Option:
    try:
        return options(_text(name, parameter))
    except ValueError:
        known = ", ".join(str(option.value) for option in options)
        raise RequestInvalid(Reason.OPTION_INVALID, f"{name} must be one of {known}") from None


def _text(name: str, parameter: pb.InferParameter) -> str:
    if parameter.WhichOneof("parameter_choice") != "string_param":
        raise RequestInvalid(Reason.OPTION_INVALID, f"{name} must be a string")
    return parameter.string_param


READERS: Mapping[str, Callable[[pb.InferParameter], object]] = {
    "labels": _labels,
    "min_score": _min_score,
    "aggregation": _aggregation,
    "offset_unit": _offset_unit,
    "priority": _priority,
    "timeout": _timeout_ns,
}
# What Triton's client asks of models that give several answers a request; these give one.
IGNORED = frozenset({"triton_enable_empty_final_response"})
