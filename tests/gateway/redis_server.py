"""A real Redis, which a test may stop and start."""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
import pytest

from tests.stopped import stop

_LIMIT_S = 20
_INTERVAL_S = 0.02
PASSWORD = "hush-redis"


class RedisServer:
    """`redis-server` on a socket in a folder; it keeps nothing on disk.

    Args:
        folder: where its socket is; paths of sockets are short, so no deep one.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._socket = folder / "redis.sock"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What a client connects to."""
        return f"unix://:{PASSWORD}@{self._socket}"

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self._socket.unlink(missing_ok=True)
        self._process = subprocess.Popen(
            [
                _program(), "--port", "0", "--unixsocket", str(self._socket), "--save", "",
                "--appendonly", "no", "--requirepass", PASSWORD, "--dir", str(self._folder),
            ],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        end = time.monotonic() + _LIMIT_S
        while not self._listens():
            assert time.monotonic() < end, "redis-server does not listen"
            assert self._process.poll() is None, "redis-server ended"
            time.sleep(_INTERVAL_S)

    def freeze(self) -> None:
        """Let it answer nothing, without closing a connection."""
        assert self._process is not None
        stop(psutil.Process(self._process.pid))

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(_LIMIT_S)
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.kill()

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self._socket))
            except OSError:
                return False
        return True


def _program() -> str:
    found = shutil.which("redis-server")
    if found is None:
        reason = "redis-server is missing: apt-get install redis-server"
        if os.environ.get("CI"):  # noqa: TID251 - the convention of CI systems, not a setting
            pytest.fail(f"{reason}; in CI this test is not skipped")
        pytest.skip(reason)
    return found
