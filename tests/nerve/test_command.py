"""The command line of `nerve`."""

import os
import signal
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import psutil
import pytest

import gateway
import inference
from gateway.app import create_app
from gateway.settings import GatewaySettings
from nerve import VERSION
from nerve.__main__ import main
from tests.e2e.stack import until

_ROOT = Path(__file__).parents[2]


def test_the_version_is_the_projects(capsys: pytest.CaptureFixture[str]) -> None:
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
    assert {project["version"]} == {VERSION, gateway.VERSION, inference.VERSION}
    assert create_app(GatewaySettings()).openapi()["info"]["version"] == VERSION
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"nerve {VERSION}\n"


def test_the_help_names_the_settings_that_move_the_ports(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["serve", "--help"])
    shown = capsys.readouterr().out
    for variable in ("GATEWAY_PORT", "INFERENCE_PORT", "INFERENCE_METRICS_PORT"):
        assert variable in shown


@pytest.mark.parametrize("arguments", [[], ["launch"], ["serve", "--timeout", "-1"]])
def test_a_bad_command_line_is_a_usage_error(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


def test_a_taken_port_is_told_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("GATEWAY_PORT", str(server.getsockname()[1]))
        assert main(["serve"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "GATEWAY_PORT moves it" in captured.err


def test_a_bad_setting_is_told_with_its_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INFERENCE_PORT", "fifty")
    assert main(["serve"]) == 2
    assert capsys.readouterr().err.startswith("nerve: INFERENCE_PORT: ")


@pytest.mark.parametrize(
    ("module", "setting"), [("gateway", "GATEWAY_PORT="), ("inference", "INFERENCE_PORT=")]
)
def test_a_service_starts_with_no_arguments_and_says_what_to_set_instead(
    module: str, setting: str
) -> None:
    def said(*arguments: str) -> tuple[int, str, str]:
        command = [sys.executable, "-m", module, *arguments]
        run = subprocess.run(
            command, cwd=_ROOT, capture_output=True, text=True, check=False, timeout=60
        )
        return run.returncode, run.stdout, run.stderr

    status, out, err = said("--port", "1")
    assert (status, out) == (2, "")
    assert "--port 1: takes no arguments" in err
    assert setting in err
    status, out, err = said("--help")
    assert (status, err) == (0, "")
    assert setting in out


def test_tuning_hands_on_what_the_service_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INFERENCE_MODELS_DIR", str(tmp_path / "none"))
    assert main(["tune"]) == 2
    assert "INFERENCE_MODELS_DIR" in capfd.readouterr().err


def test_ctrl_c_ends_tuning_without_a_traceback() -> None:
    """A terminal sends it to the whole group, and there is a process that still imports."""
    command = [sys.executable, "-m", "nerve", "tune"]
    with subprocess.Popen(command, cwd=_ROOT, stderr=subprocess.PIPE, process_group=0) as tuning:
        until(lambda: _measuring(tuning.pid) != [])
        [measuring] = _measuring(tuning.pid)
        os.killpg(tuning.pid, signal.SIGINT)
        assert tuning.communicate(timeout=30)[1] == b""
        assert tuning.returncode == 130
    until(lambda: not measuring.is_running() or measuring.status() == psutil.STATUS_ZOMBIE)


def _measuring(pid: int) -> list[psutil.Process]:
    children = psutil.Process(pid).children()
    return [child for child in children if "inference.calibration" in child.cmdline()]
