"""Interruption: Ctrl-C as a question that a loop asks between two steps."""

import signal
import sys
from types import FrameType, TracebackType
from typing import Self


class Interruption:
    """Holds the first Ctrl-C back until the loop asks; the second ends the process as usual.

    A context manager for the main thread: the only one that Python lets handle signals.
    """

    def __init__(self) -> None:
        self._asked = False
        self._previous: object = None

    def __call__(self) -> bool:
        """Whether Ctrl-C was pressed."""
        return self._asked

    def __enter__(self) -> Self:
        self._previous = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # None: a handler that was not set from Python cannot be set again.
        signal.signal(signal.SIGINT, self._previous or signal.SIG_DFL)  # type: ignore[arg-type]  # what signal() returned

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        print("\nstopping after this step; Ctrl-C again: at once, without writing", file=sys.stderr)
