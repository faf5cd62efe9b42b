"""Standard output and error whose reader may be gone: what is told does not decide what is done.

A terminal's Ctrl-C, for one, ends the `tee` of `nerve serve 2>&1 | tee log` as well.
"""

import sys
from contextlib import suppress
from typing import TextIO


def write(stream: TextIO | None, text: str) -> None:
    """Write to a standard stream at once; what it does not take is dropped.

    Args:
        stream: None: the process was started without it.
        text: with its line ends, in one call so that threads do not mix.
    """
    if stream is None:
        return
    with suppress(OSError, ValueError):  # ValueError: it is closed
        stream.write(text)
        stream.flush()


def let_go() -> None:
    """Drop what is left in the standard streams' buffers if it cannot be written.

    At its end Python tries once more, and exits with 120 in place of the status that it was given.
    """
    for name in ("stdout", "stderr"):
        stream: TextIO | None = getattr(sys, name)
        if stream is None:
            continue
        try:
            stream.flush()
        except (OSError, ValueError):
            setattr(sys, name, None)
