"""The probe against real servers on loopback."""

import http.server
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from grpc_health.v1 import health as grpc_health
from grpc_health.v1 import health_pb2, health_pb2_grpc

from nerve import health


class _Answers(http.server.BaseHTTPRequestHandler):
    """Answers `/503` with 503 and `/` with 200."""

    def do_GET(self) -> None:
        """Answers any path."""
        self.send_response(503 if self.path == "/503" else 200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - of the base class
        """Stays quiet."""


@pytest.fixture
def http_address() -> Iterator[str]:
    """A server that speaks HTTP."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def grpc_server() -> Iterator[tuple[str, grpc_health.HealthServicer]]:
    """A gRPC server with the health service."""
    with ThreadPoolExecutor(2) as workers:
        server = grpc.server(workers)
        servicer = grpc_health.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield f"grpc://127.0.0.1:{port}", servicer
        server.stop(None).wait()


@pytest.fixture
def nobody() -> str:
    """`host:port` where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def test_an_http_service_is_healthy_when_it_answers_200(
    http_address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert health.main([http_address]) == 0
    assert health.main([f"{http_address}/503"]) == 1
    assert capsys.readouterr().err == f"{http_address}/503: answered 503\n"


def test_proxies_of_the_environment_are_not_used(
    http_address: str, nobody: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://{nobody}")
    assert health.main([http_address]) == 0


def test_a_grpc_service_is_healthy_when_it_serves(
    grpc_server: tuple[str, grpc_health.HealthServicer], capsys: pytest.CaptureFixture[str]
) -> None:
    address, servicer = grpc_server
    assert health.main([address]) == 0
    servicer.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    assert health.main([address]) == 1
    assert capsys.readouterr().err == f"{address}: answered NOT_SERVING\n"


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_a_service_that_does_not_answer_is_unhealthy(
    scheme: str, nobody: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert health.main([f"{scheme}://{nobody}"]) == 1
    assert "no answer" in capsys.readouterr().err


def test_a_service_that_listens_but_is_mute_is_unhealthy_after_the_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        for scheme in ("http", "grpc"):
            assert health.main([f"{scheme}://127.0.0.1:{port}", "--timeout", "0.2"]) == 1


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1:80",
        "ftp://a:1",
        "http://a",
        "grpc://a:port",
        "http://a:1/ä",
        "http://a:1/b c",
        "http://a..b:1/",
    ],
)
def test_a_bad_address_is_a_usage_error(address: str) -> None:
    with pytest.raises(SystemExit) as caught:
        health.main([address])
    assert caught.value.code == 2


@pytest.mark.parametrize("timeout", ["-1", "0", "nan", "inf", "1e300", "soon"])
def test_a_bad_timeout_is_a_usage_error(nobody: str, timeout: str) -> None:
    with pytest.raises(SystemExit) as caught:
        health.main([f"http://{nobody}", "--timeout", timeout])
    assert caught.value.code == 2


def test_the_probe_is_a_command(http_address: str) -> None:
    command = [sys.executable, "-m", "nerve.health", http_address]
    assert subprocess.run(command, timeout=30, check=False).returncode == 0
