"""The errors of the inference service, by the place in the data flow where each is raised.

    RecognitionError            a call that cannot be answered; has a reason and a detail
    ├── RequestInvalid          at the door: the call as sent can never be answered
    ├── ModelNotFound           at the door: no such model, or no such version of it
    ├── ModelControlOff         at the door: callers may not load or unload models
    ├── QueueFull               at the queue: too much is waiting; says when to come back
    ├── DeadlineExceeded        at the queue: the caller's time ran out before a worker was free
    ├── Draining                at the queue: the service ended before a worker was free
    └── InferenceFailed         at the model: the run failed for this window alone
    TextRejected                one text of a call that cannot be answered; its neighbours are
    ModelInvalid                at loading: a folder of the repository that cannot be served
    └── LoadFailed              at loading: not by what the folder holds, as far as is known
    SourceUnreadable            at the source: where the models come from does not answer
    └── FileWithheld            at the source: it answers, and does not give one file

A detail is for a person: it says what to change and never repeats the text.
"""

from enum import StrEnum
from pathlib import Path


class Reason(StrEnum):
    """Why a call or a text failed; the names are those of `ner.v1.ErrorReason`."""

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


class RecognitionError(Exception):
    """A call that cannot be answered.

    Args:
        reason: stable name of the cause.
        detail: for a person; says what to change.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class RequestInvalid(RecognitionError):
    """The call can never be answered as it was sent."""


class ModelNotFound(RecognitionError):
    """The model, or the version of it, is not served here."""


class ModelControlOff(RecognitionError):
    """Callers may not load or unload models here."""

    def __init__(self) -> None:
        super().__init__(
            Reason.MODEL_CONTROL_OFF, "model control is off: the server's operator turns it on"
        )


class Draining(RecognitionError):
    """The service ended before the call was run."""

    def __init__(self) -> None:
        super().__init__(Reason.DRAINING, "the server is shutting down: send the call again")


class QueueFull(RecognitionError):
    """More tokens are waiting than the service admits.

    Args:
        retry_after_s: seconds until the queue should have drained.
    """

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(
            Reason.QUEUE_FULL,
            f"the server is at its limit of waiting work: try again in {retry_after_s:.1f} s",
        )
        self.retry_after_s = retry_after_s


class DeadlineExceeded(RecognitionError):
    """The caller's deadline passed before the answer was ready."""

    def __init__(self) -> None:
        super().__init__(
            Reason.DEADLINE_EXCEEDED, "the deadline passed before the answer was ready"
        )


class InferenceFailed(RecognitionError):
    """The model could not be run on a window, even alone."""

    def __init__(self) -> None:
        super().__init__(Reason.INTERNAL, "the model could not be run on this text")


class TextRejected(Exception):
    """One text that cannot be answered; the other texts of its call are.

    Args:
        reason: stable name of the cause.
        detail: for a person; says what to change.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class SourceUnreadable(Exception):
    """The source of the models cannot be read now; what is served stays as it is."""


class FileWithheld(SourceUnreadable):
    """The source lists a file and does not give it; others it may."""


class ModelInvalid(Exception):
    """A version folder that cannot be served; the message says which file and what is wrong."""


class LoadFailed(ModelInvalid):
    """A version that could not be loaded now; unlike one that is invalid it is tried again."""

    @classmethod
    def refused(cls, error: OSError, folder: Path) -> "LoadFailed":
        """What the system refused.

        Args:
            error: names the file, or none.
            folder: the version folder, named instead.
        """
        return cls(f"{Path(error.filename or folder).name}: {error.strerror}")
