"""The supervisor with fake services in real processes."""

import asyncio
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from nerve import settings
from nerve.lifecycle import Service
from nerve.ports import Listener, PortTaken
from nerve.serve import Launch, Plan, Supervisor, announcement, plan
from tests.ports import free_port
from tests.streams import closed_pipe

_HERE = Path(__file__).parent
_FREE = Listener("127.0.0.1", 0, "X")
_LONG_S = 60.0

pytestmark = pytest.mark.timeout(60)


class Stage:
    """A supervisor over two fake services, with what they noted."""

    def __init__(self, folder: Path) -> None:
        self._journal = folder / "journal"
        self._gateway = replace(_FREE, port=free_port())

    def supervisor(
        self,
        gateway: str = "clean",
        inference: str = "clean",
        drain_s: float = _LONG_S,
        ready_timeout_s: float = _LONG_S,
        *,
        ready: bool = True,
    ) -> Supervisor:
        """A supervisor whose services behave in these manners."""
        manners = {Service.INFERENCE: inference, Service.GATEWAY: gateway}
        launches = tuple(
            Launch(service, "fake_service", self._environment(service, manner, ready), drain_s)
            for service, manner in manners.items()
        )
        return Supervisor(Plan(self._gateway, self._gateway, launches), ready_timeout_s)

    def notes(self) -> list[str]:
        """What the services noted, without their process ids."""
        lines = self._journal.read_text().splitlines() if self._journal.exists() else []
        return [" ".join(line.split()[:2]) for line in lines]

    def pids(self) -> list[int]:
        """The processes that were started."""
        lines = self._journal.read_text().splitlines()
        return [int(line.split()[2]) for line in lines if "started" in line]

    async def until_noted(self, *notes: str) -> None:
        """Waits until all of these were noted."""
        while not set(notes) <= set(self.notes()):  # noqa: ASYNC110 - another process notes
            await asyncio.sleep(0.01)

    def _environment(self, service: Service, manner: str, ready: bool) -> dict[str, str]:
        environment = {
            "PYTHONPATH": str(_HERE),
            "FAKE_NAME": service.value,
            "FAKE_JOURNAL": str(self._journal),
            "FAKE_MANNER": manner,
        }
        if ready and service is Service.GATEWAY:
            environment["FAKE_PORT"] = str(self._gateway.port)
        return environment


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """Fake services that note what happens to them."""
    return Stage(tmp_path)


async def until_ready(capsys: pytest.CaptureFixture[str]) -> str:
    """Waits for the announcement; gives what was printed up to it."""
    printed = ""
    while "Nerve is ready" not in printed:
        await asyncio.sleep(0.01)
        printed += capsys.readouterr().out
    return printed


async def test_one_ctrl_c_drains_the_gateway_and_then_inference(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    running = asyncio.create_task(stage.supervisor().run())
    printed = await until_ready(capsys)
    assert "/v1/entities -H 'content-type: application/json' -d '{\"text\": " in printed
    await stage.until_noted("gateway started", "inference started")
    os.kill(os.getpid(), signal.SIGINT)
    assert await running == 0
    ends = ["gateway asked", "gateway ended", "inference asked", "inference ended"]
    assert stage.notes()[2:] == ends


async def test_a_reader_that_has_gone_does_not_keep_both_from_draining(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in `nerve serve 2>&1 | tee log`, whose tee the same Ctrl-C ends."""
    with closed_pipe() as nobody:
        monkeypatch.setattr(sys, "stdout", nobody)
        monkeypatch.setattr(sys, "stderr", nobody)
        running = asyncio.create_task(stage.supervisor().run())
        await stage.until_noted("gateway started", "inference started")
        os.kill(os.getpid(), signal.SIGINT)
        assert await running == 0
    ends = ["gateway asked", "gateway ended", "inference asked", "inference ended"]
    assert stage.notes()[2:] == ends


async def test_sigterm_before_readiness_drains_as_well(stage: Stage) -> None:
    running = asyncio.create_task(stage.supervisor(ready=False).run())
    await stage.until_noted("gateway started", "inference started")
    os.kill(os.getpid(), signal.SIGTERM)
    assert await running == 0


async def test_a_second_ctrl_c_kills_at_once(stage: Stage) -> None:
    running = asyncio.create_task(stage.supervisor(gateway="stubborn").run())
    await stage.until_noted("gateway started", "inference started")
    os.kill(os.getpid(), signal.SIGINT)
    await stage.until_noted("gateway asked")
    os.kill(os.getpid(), signal.SIGINT)
    assert await running == 130
    assert "inference asked" not in stage.notes()


async def test_a_service_that_does_not_drain_is_killed_and_the_other_drained(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    running = asyncio.create_task(stage.supervisor(gateway="stubborn", drain_s=1).run())
    await stage.until_noted("gateway started", "inference started")
    os.kill(os.getpid(), signal.SIGINT)
    assert await running == 1
    assert stage.notes()[2:] == ["gateway asked", "inference asked", "inference ended"]
    assert "gateway did not drain in time" in capsys.readouterr().err


async def test_when_one_dies_the_other_is_drained_and_the_message_says_which(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await stage.supervisor(inference="dies").run() == 1
    error = capsys.readouterr().err
    assert "inference ended with exit code 3" in error
    assert "stopping gateway" in error


async def test_a_failure_while_draining_is_told(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    running = asyncio.create_task(stage.supervisor(inference="dies-draining").run())
    await stage.until_noted("gateway started", "inference started")
    os.kill(os.getpid(), signal.SIGTERM)
    assert await running == 1
    assert "inference ended with exit code 3 while draining" in capsys.readouterr().err


async def test_services_that_never_get_ready_are_given_up(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await stage.supervisor(ready=False, ready_timeout_s=0.5).run() == 1
    captured = capsys.readouterr()
    assert "not ready within 0.5 s" in captured.err
    assert "Nerve is ready" not in captured.out


async def test_a_supervisor_that_is_cancelled_leaves_no_process(stage: Stage) -> None:
    running = asyncio.create_task(stage.supervisor(gateway="stubborn", inference="stubborn").run())
    await stage.until_noted("gateway started", "inference started")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    for pid in stage.pids():
        while _exists(pid):  # noqa: ASYNC110 - a process that is not our child has no event
            await asyncio.sleep(0.01)


def test_the_gateway_is_tied_to_the_inference_service(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("GATEWAY_PORT", "INFERENCE_PORT", "INFERENCE_METRICS_PORT"):
        monkeypatch.setenv(variable, "0")
    monkeypatch.setenv("GATEWAY_INFERENCE_TARGET", "dns:///elsewhere:1")
    monkeypatch.setenv("INFERENCE_DRAIN_TIMEOUT_S", "7")
    found = plan(settings.read())
    inference, gateway = found.launches
    assert (inference.service, gateway.service) == (Service.INFERENCE, Service.GATEWAY)
    port = int(inference.environment["INFERENCE_PORT"])
    assert port == found.inference.port > 0
    assert gateway.environment["GATEWAY_INFERENCE_TARGET"] == f"dns:///127.0.0.1:{port}"
    assert int(gateway.environment["GATEWAY_PORT"]) == found.gateway.port > 0
    assert int(inference.environment["INFERENCE_METRICS_PORT"]) > 0
    assert inference.drain_s > 7


def test_two_services_on_one_port_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    port = str(free_port())
    monkeypatch.setenv("GATEWAY_PORT", port)
    monkeypatch.setenv("INFERENCE_PORT", port)
    with pytest.raises(PortTaken, match="INFERENCE_PORT moves it"):
        plan(settings.read())


def test_the_announcement_says_where_everything_is() -> None:
    shown = announcement(
        Plan(
            replace(_FREE, port=8080),
            replace(_FREE, port=50051),
            (),
        )
    )
    curl = (
        "curl -s localhost:8080/v1/entities -H 'content-type: application/json'"
        """ -d '{"text": "Angela Merkel met Tim Cook of Apple in Seoul."}'"""
    )
    assert curl in shown
    assert "http://localhost:8080/docs" in shown
    assert "localhost:50051" in shown


def test_with_a_certificate_the_announcement_says_https() -> None:
    shown = announcement(Plan(replace(_FREE, port=8080), _FREE, (), "https"))
    assert "curl -s https://localhost:8080/v1/entities" in shown
    assert "https://localhost:8080/docs" in shown
    assert "http://" not in shown


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
