import io
import os
import subprocess
import sys

from telemetry import streams
from tests.streams import closed_pipe

_PROGRAM = """
import atexit, sys
from telemetry import streams
atexit.register(streams.let_go)
streams.write(sys.stdout, "told\\n")
streams.write(sys.stderr, "told\\n")
sys.exit(3)
"""


def test_what_nobody_reads_is_dropped() -> None:
    with closed_pipe() as nobody:
        streams.write(nobody, "told\n")
    streams.write(nobody, "told to a stream that is closed\n")
    streams.write(None, "told by a process that was started without the stream\n")


def test_what_somebody_reads_is_written_at_once() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw)
    streams.write(stream, "told\n")
    assert raw.getvalue() == b"told\n"


def test_a_process_ends_with_its_own_status_when_nobody_reads_it() -> None:
    # Where Python does not buffer, nothing is left to be written at the end.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}  # noqa: TID251
    with closed_pipe() as nobody:
        ended = subprocess.run(
            [sys.executable, "-c", _PROGRAM],
            check=False,
            env=environment,
            stdout=nobody,
            stderr=nobody,
        )
    assert ended.returncode == 3
