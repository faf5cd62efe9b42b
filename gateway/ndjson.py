"""Lines out of chunks of bytes.

A line ends with a line feed, with or without a carriage return before it; the last one may end with
the stream. Lines of white space are counted and otherwise passed over. A line over the limit is
reported and never held: memory is bounded by the limit and one chunk.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Line:
    """One line.

    Attributes:
        number: from 1.
        content: without its end; None if it is longer than the limit.
    """

    number: int
    content: bytes | None


class LineSplitter:
    """Splits a stream of chunks into lines.

    Args:
        max_line_bytes: longest line, its end not counted.
    """

    def __init__(self, max_line_bytes: int) -> None:
        self._max_line_bytes: Final = max_line_bytes
        self._begun: Final = bytearray()
        self._too_long = False
        self._number = 0

    def feed(self, chunk: bytes) -> Iterator[Line]:
        """Give the lines that end in a chunk; the iterator must be exhausted."""
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            self._add(end)
            yield from self._end()
        self._add(rest)

    def finish(self) -> Iterator[Line]:
        """Give the last line, if it has no end of its own."""
        if self._begun or self._too_long:
            yield from self._end()

    def _add(self, part: bytes) -> None:
        if not part:
            return
        # A carriage return at the end does not count.
        if len(self._begun) + len(part.removesuffix(b"\r")) > self._max_line_bytes:
            self._too_long = True
            self._begun.clear()
        elif not self._too_long:
            self._begun.extend(part)

    def _end(self) -> Iterator[Line]:
        self._number += 1
        if self._too_long:
            yield Line(self._number, None)
        elif not self._begun.isspace() and self._begun:
            yield Line(self._number, bytes(self._begun.removesuffix(b"\r")))
        self._begun.clear()
        self._too_long = False
