"""The inference service dies and comes back; nobody touches the gateway."""

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.e2e.stack import Ports, Process, answers, free_ports, started, until

pytestmark = pytest.mark.timeout(180)

# "At once": far less than the request timeout, far more than a busy machine needs.
_AT_ONCE_S = 5.0


@pytest.fixture
def ports() -> Ports:
    """Ports of the pair."""
    return free_ports()


@pytest.fixture
def gateway(tmp_path: Path, ports: Ports) -> Iterator[Process]:
    """A gateway on its own."""
    target = f"dns:///{ports.grpc_address}"
    with started(
        tmp_path / "gateway", ports, "gateway", GATEWAY_INFERENCE_TARGET=target
    ) as process:
        until(lambda: answers(f"{ports.url}/healthz"), process)
        yield process


def test_without_inference_callers_are_told_at_once_and_with_it_again_they_are_answered(
    gateway: Process, ports: Ports, tmp_path: Path
) -> None:
    readyz = f"{ports.url}/readyz"
    assert answers(readyz, 503), "not ready before there is an inference service"
    with httpx.Client(base_url=ports.url, timeout=60) as http, ExitStack() as processes:
        for life in ("first", "second"):
            inference = processes.enter_context(started(tmp_path / life, ports, "inference"))
            until(lambda: answers(readyz), gateway)
            assert http.post("/v1/entities", json={"text": "Paris"}).status_code == 200

            inference.process.send_signal(signal.SIGKILL)
            inference.process.wait()
            began = time.monotonic()
            ready, asked = http.get("/readyz"), http.post("/v1/entities", json={"text": "Paris"})
            assert time.monotonic() - began < _AT_ONCE_S
            for response in (ready, asked):
                assert response.status_code == 503
                assert response.json()["reason"] == "INFERENCE_UNAVAILABLE"
                assert int(response.headers["retry-after"]) >= 1
    assert answers(f"{ports.url}/healthz"), "the gateway itself is alive"


def test_a_drained_inference_service_ends_well(ports: Ports, tmp_path: Path) -> None:
    with started(tmp_path, ports, "inference") as inference:
        until(lambda: answers(f"http://127.0.0.1:{ports.metrics}/metrics"), inference)
        until(lambda: "inference_listening" in inference.said(), inference)
        inference.process.terminate()
        assert inference.wait() == 0
