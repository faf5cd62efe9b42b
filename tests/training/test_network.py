"""The encoder that a name stands for."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from training.network import encoder_folder


class _EmptyHub(BaseHTTPRequestHandler):
    """Says of every repository that there is none, as Hugging Face's hub does."""

    def do_GET(self) -> None:
        self.send_response(404)
        self.send_header("X-Error-Code", "RepoNotFound")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named there
        """Says nothing."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A hub on this machine that knows no encoder."""
    server = HTTPServer(("127.0.0.1", 0), _EmptyHub)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(
        "huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{server.server_port}"
    )
    yield
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_mistyped_folder_is_named(tmp_path: Path) -> None:
    for encoder in (str(tmp_path / "minilm"), "./minilm", "encoders/minilm/1"):
        with pytest.raises(FileNotFoundError, match=rf"^{encoder}: no such folder"):
            encoder_folder(encoder)


@pytest.mark.usefixtures("hub")
def test_an_encoder_that_the_hub_does_not_have_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"^no-one/minilm: no such folder.*the hub.*404"):
        encoder_folder("no-one/minilm")


def test_a_hub_that_cannot_be_asked_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(FileNotFoundError, match=r"^no-one/minilm: no such folder.*the hub"):
        encoder_folder("no-one/minilm")
