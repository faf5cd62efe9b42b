"""`nerve serve` from start to end."""

import os
import re
import signal
import socket
import ssl
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.certificates import Authority
from tests.e2e.stack import SPLIT, Process, answers, free_ports, gone, serving, started, until
from tests.plain_http import NO_TLS
from tests.ports import has_ipv6

pytestmark = pytest.mark.timeout(180)

_REPEATS = 1_000


def _ask(url: str, text: str = "Angela Merkel visited Seoul. " * _REPEATS) -> httpx.Response:
    """A request; unless its text is given it takes some seconds."""
    return httpx.post(f"{url}/v1/entities", json={"text": text}, timeout=120)


def _in_flight(process: Process) -> bool:
    """Whether the inference service works on a call."""
    metrics = httpx.get(f"http://127.0.0.1:{process.ports.metrics}/metrics", verify=NO_TLS).text
    found = re.search(r"^inference_calls_in_flight (\S+)$", metrics, re.MULTILINE)
    return found is not None and float(found.group(1)) > 0


@pytest.mark.parametrize("how", ["Ctrl-C", "SIGTERM"])
def test_one_signal_drains_both_with_the_running_request_answered(tmp_path: Path, how: str) -> None:
    # Once as it ships: it measures how to share the cores.
    split = dict.fromkeys(SPLIT, "0") if how == "Ctrl-C" else SPLIT
    with serving(tmp_path, **split) as process, ThreadPoolExecutor(1) as caller:
        services = process.services()
        running: Future[httpx.Response] = caller.submit(_ask, process.ports.url)
        until(lambda: _in_flight(process), process)
        if how == "Ctrl-C":
            process.interrupt()
        else:
            process.process.terminate()
        response = running.result()
        assert response.status_code == 200
        assert len(response.json()["entities"]) == 2 * _REPEATS
        assert process.wait() == 0
        assert gone(services)
        said = process.said()
    assert said.index("Application shutdown complete") < said.index("inference_draining")
    assert "Traceback" not in said


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no loopback of IPv6")
def test_both_serve_over_ipv6_with_and_without_brackets(tmp_path: Path) -> None:
    with serving(tmp_path, GATEWAY_HOST="[::1]", INFERENCE_HOST="::1") as process:
        response = _ask(f"http://[::1]:{process.ports.gateway}", "Angela Merkel visited Seoul.")
        assert len(response.json()["entities"]) == 2
        assert answers(f"http://[::1]:{process.ports.metrics}/metrics")


def test_with_a_certificate_rest_is_awaited_served_and_announced_over_https(
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path, "test")
    own = authority.issue("gateway")
    files = {
        "GATEWAY_TLS_CERT_FILE": str(own.certificate),
        "GATEWAY_TLS_KEY_FILE": str(own.key),
    }
    with serving(tmp_path, **files) as process:
        url = f"https://127.0.0.1:{process.ports.gateway}"
        trust = ssl.create_default_context(cafile=authority.file)
        assert httpx.get(f"{url}/readyz", verify=trust).status_code == 200
    assert f"https://localhost:{process.ports.gateway}/docs" in process.out.read_text()


def test_a_second_ctrl_c_ends_both_at_once(tmp_path: Path) -> None:
    with serving(tmp_path) as process, ThreadPoolExecutor(1) as caller:
        services = process.services()
        running = caller.submit(_ask, process.ports.url)
        until(lambda: _in_flight(process), process)
        process.interrupt()
        until(lambda: "draining" in process.out.read_text(), process)
        process.interrupt()
        assert process.wait() == 130
        assert gone(services)
        with pytest.raises(httpx.TransportError):
            running.result()


@pytest.mark.parametrize("victim", ["gateway", "inference"])
def test_when_one_service_dies_the_other_is_stopped_and_the_message_says_which(
    tmp_path: Path, victim: str
) -> None:
    with serving(tmp_path) as process:
        services = process.services()
        process.service(victim).kill()
        assert process.wait() == 1
        assert gone(services)
    assert f"nerve: {victim} was ended by SIGKILL" in process.err.read_text()


def test_nothing_is_left_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    with serving(tmp_path) as process:
        services = process.services()
        os.kill(process.process.pid, signal.SIGKILL)
        until(lambda: gone(services))


def test_a_taken_port_is_told_before_anything_starts(tmp_path: Path) -> None:
    ports = free_ports()
    with (
        socket.create_server(("127.0.0.1", ports.inference)),
        started(tmp_path, ports, "nerve", "serve") as process,
    ):
        assert process.wait() == 1
    assert f"port {ports.inference}" in process.err.read_text()
    assert "INFERENCE_PORT moves it" in process.err.read_text()
    assert process.out.read_text() == ""


def test_without_a_model_both_end_with_a_clear_message(tmp_path: Path) -> None:
    ports, empty = free_ports(), tmp_path / "empty"
    empty.mkdir()
    with started(
        tmp_path / "logs", ports, "nerve", "serve", INFERENCE_MODELS_DIR=str(empty)
    ) as process:
        assert process.wait() == 1
        assert not answers(f"{ports.url}/healthz")
    error = process.err.read_text()
    assert "no model" in error
    assert "nerve: inference ended with exit code 1 before it was ready" in error
    assert "Traceback" not in error
