"""Files that are read again when they change, without a restart.

Nobody is told of a change: whoever asks for the value looks at the files' dates, at most once in
`LOOK_EVERY_S`. So there is no task and no thread to own, and a service that nobody asks does
nothing. What cannot be read leaves the old value in force: a half-written file, a key that does not
belong to its certificate yet, or a mistake locks nobody out.
"""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Generic, TypeVar

from credentials.errors import CredentialInvalid
from telemetry.logs import get_logger

Value = TypeVar("Value")

LOOK_EVERY_S: Final = 1.0

_LOG: Final = get_logger("credentials")


class WatchedFiles(Generic[Value]):
    """What a few small files say together; safe to ask from any thread.

    Args:
        paths: the files; replaced ones (a secret volume's symbolic links) count as changed.
        read: reads them all.
        clock: monotonic seconds.

    Raises:
        CredentialInvalid: they cannot be used now, at the start.
    """

    def __init__(
        self,
        paths: tuple[Path, ...],
        read: Callable[[], Value],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._paths: Final = paths
        self._read: Final = read
        self._clock: Final = clock
        self._looking: Final = threading.Lock()
        self._next_look_s = clock() + LOOK_EVERY_S
        self._state = tuple(_state(path) for path in paths)
        # Why the last reading failed. It is tried again at each look: a mode that is mended, or a
        # process that has room for one more file again, changes no date.
        self._refusal: str | None = None
        self._value = read()

    def current(self) -> Value:
        """The value of the newest files that could be used."""
        if self._clock() >= self._next_look_s and self._looking.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._looking.release()
        return self._value

    def _look(self) -> None:
        self._next_look_s = self._clock() + LOOK_EVERY_S
        # Before reading: a change while they are read is then seen at the next look.
        state = tuple(_state(path) for path in self._paths)
        changed = state != self._state
        if not changed and self._refusal is None:
            return
        self._state = state
        names = [str(path) for path in self._paths]
        try:
            self._value = self._read()
        except Exception as error:  # noqa: BLE001 - the old value, whatever is wrong with the new
            # The message of an error that nobody has thought of may quote what a file holds.
            known = isinstance(error, CredentialInvalid)
            refusal = str(error) if known else f"unexpected {type(error).__name__}"
            if changed or self._refusal != refusal:
                detail = f"{refusal}; the old ones stay in force"
                _LOG.error("files_refused", files=names, detail=detail)
            self._refusal = refusal
        else:
            self._refusal = None
            _LOG.info("files_read", files=names)


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def read_bytes(path: Path) -> bytes:
    """Read a file.

    Raises:
        CredentialInvalid: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise CredentialInvalid(f"{path}: cannot be read ({error.strerror})") from None
