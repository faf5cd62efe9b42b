"""Ctrl-C, as a person presses it."""

import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import onnx
import pytest

from training.__main__ import main
from training.training_state import STATE_FILE

_ROOT = Path(__file__).parents[2]
# For a start on a busy machine; ends the wait for something that never comes.
_DEADLINE_S = 120


@pytest.fixture
def options(data: Path, encoder: Path, tmp_path: Path) -> list[str]:
    recipe = ["--encoder", str(encoder), "--epochs", "8", "--batch-size", "4", "--threads", "1"]
    source = ["--data", str(data), "--sets", "wnut17"]
    return ["fine-tune", *source, *recipe, "--no-tracking", "--state-steps", "1"]


def sha256(run: Path) -> str:
    return hashlib.sha256((run / "model.safetensors").read_bytes()).hexdigest()


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    deadline_s = time.monotonic() + _DEADLINE_S
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def test_a_run_that_is_interrupted_and_resumed_ends_in_the_same_weights(
    options: list[str], tmp_path: Path
) -> None:
    """One process is interrupted; another goes on, and then learns the whole."""
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    command = [sys.executable, "-m", "training", *options, "--run", str(stopped)]
    process = subprocess.Popen(command, cwd=_ROOT, stderr=subprocess.PIPE, text=True)
    wait_for(stopped / STATE_FILE, process)
    process.send_signal(signal.SIGINT)
    _, message = process.communicate(timeout=_DEADLINE_S)
    assert process.returncode == 130, message
    assert "stopped: step" in message
    assert f"--run {stopped} --resume" in message
    assert "Traceback" not in message
    assert main([*options, "--run", str(stopped), "--resume"]) == 0
    assert main([*options, "--run", str(whole)]) == 0
    assert sha256(stopped) == sha256(whole)
    assert not (stopped / STATE_FILE).exists()


def test_resume_without_a_stopped_run_is_told(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*options, "--run", str(tmp_path / "run"), "--resume"]) == 1
    assert "nothing to resume" in capsys.readouterr().err


def test_a_second_ctrl_c_ends_the_process_at_once() -> None:
    program = (
        "import os, signal\n"
        "from training.interruption import Interruption\n"
        "with Interruption() as asked:\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    print(asked(), flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    print('still here')\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=_ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode != 0
    assert run.stdout == "True\n"
    assert "KeyboardInterrupt" in run.stderr


def test_a_tracked_run_can_be_published(
    data: Path, encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once by its id, once by its alias; the manifest names the run."""
    run = tmp_path / "runs" / "first"
    place = ["--data", str(data), "--sets", "wnut17", "--threads", "1"]
    recipe = ["--encoder", str(encoder), "--epochs", "2", "--name", "ner-tiny"]
    assert main(["fine-tune", *place, *recipe, "--run", str(run), "--alias", "champion"]) == 0
    run_id = capsys.readouterr().out.split()[1].strip(":")
    target = ["--run", str(tmp_path / "runs" / "other"), "--models", str(tmp_path / "models")]
    for origin in (["--from-run", run_id], ["--from-alias", "ner-tiny@champion"]):
        assert main(["publish", *place, *target, *origin]) == 0
    folder = tmp_path / "models" / "ner-en"
    for version in ("1", "2"):
        manifest = json.loads((folder / version / "manifest.json").read_text("utf-8"))
        assert manifest["training"]["run_id"] == run_id
    assert main(["publish", *place, *target, "--from-alias", "ner-tiny"]) == 1
    assert "NAME@ALIAS" in capsys.readouterr().err
    ready = tmp_path / "ready.onnx"
    shutil.copyfile(folder / "2" / "model.onnx", ready)
    other = onnx.load(ready)
    other.doc_string = "as it was"
    onnx.save(other, ready)
    again = ["publish", *place, *target, "--from-run", run_id, "--quantized"]
    assert main([*again, str(ready)]) == 0
    assert (folder / "3" / "model.onnx").read_bytes() == ready.read_bytes()
    assert main([*again, str(tmp_path / "none.onnx")]) == 1
    assert "none.onnx: no such file: --quantized names an int8 file" in capsys.readouterr().err
