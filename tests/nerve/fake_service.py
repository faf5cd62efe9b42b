"""A service in a process of its own that behaves as it is told: `FAKE_…` in its environment."""

import http.server
import os
import signal
import sys
import threading
from pathlib import Path

_ENVIRONMENT = os.environ  # noqa: TID251 - a process of its own has no other way to be told
_NAME = _ENVIRONMENT["FAKE_NAME"]
_JOURNAL = Path(_ENVIRONMENT["FAKE_JOURNAL"])
_MANNER = _ENVIRONMENT["FAKE_MANNER"]  # clean, stubborn, dies, dies-draining
_DEAD = 3
_LOOKS_S = 0.05


class _Readiness(http.server.BaseHTTPRequestHandler):
    """Ready at once."""

    def do_GET(self) -> None:
        """Answers any path."""
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - of the base class
        """Stays quiet."""


def _note(what: str) -> None:
    with _JOURNAL.open("a") as journal:
        journal.write(f"{_NAME} {what}\n")


def main() -> None:
    """Behaves until told to end."""
    ended = threading.Event()

    def on_terminate(_number: int, _frame: object) -> None:
        _note("asked")
        if _MANNER != "stubborn":
            ended.set()

    signal.signal(signal.SIGTERM, on_terminate)
    _note(f"started {os.getpid()}")
    if _MANNER == "dies":
        sys.exit(_DEAD)
    if port := _ENVIRONMENT.get("FAKE_PORT"):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), _Readiness)
        threading.Thread(target=server.serve_forever, daemon=True).start()
    # A signal just before a wait without end would wake nobody; the services have asyncio's pipe.
    while not ended.wait(_LOOKS_S):
        pass
    _note("ended")
    sys.exit(_DEAD if _MANNER == "dies-draining" else 0)


if __name__ == "__main__":
    main()
