"""The end of a run: calibrated, registered, and repeated where that failed."""

import sqlite3
from pathlib import Path

import pytest

from training.__main__ import main
from training.checkpoint import MODEL_FILES
from training.score_calibration import calibrate
from training.training_state import STATE_FILE


@pytest.fixture
def words(data: Path, encoder: Path, tmp_path: Path) -> list[str]:
    """Some ten steps."""
    recipe = ["--encoder", str(encoder), "--epochs", "1", "--threads", "1"]
    place = ["--data", str(data), "--sets", "wnut17", "--run", str(tmp_path / "runs" / "first")]
    return ["fine-tune", *place, *recipe, "--name", "ner-tiny"]


def rows(root: Path, query: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(root / "mlflow.db") as connection:
        found = connection.execute(query).fetchall()
    connection.close()
    return found


@pytest.mark.parametrize("alias", ["latest", "v2", "prod.eu"])
def test_what_no_version_can_be_called_is_refused_before_the_first_step(
    words: list[str], tmp_path: Path, alias: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--alias", alias]) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith("error: tracking: ")
    assert alias in message
    assert not (tmp_path / "runs" / "first").exists()
    assert rows(tmp_path / "runs", "SELECT run_uuid FROM runs") == []


def test_a_model_that_could_not_be_registered_is_registered_by_resume(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file lies where the store keeps artifacts; once it has gone, nothing is learned again."""
    runs = tmp_path / "runs"
    runs.mkdir()
    (runs / "mlartifacts").write_text("")
    assert main(words) == 1
    assert "the same command with --resume registers the model" in capsys.readouterr().err
    assert rows(runs, "SELECT status FROM runs") == [("FAILED",)]
    learned = [(runs / "first" / name).read_bytes() for name in MODEL_FILES]

    (runs / "mlartifacts").unlink()
    assert main([*words, "--resume"]) == 0
    assert [(runs / "first" / name).read_bytes() for name in MODEL_FILES] == learned
    assert {path.name for path in (runs / "first").iterdir()} == set(MODEL_FILES)
    assert rows(runs, "SELECT status FROM runs") == [("FINISHED",)]
    assert rows(runs, "SELECT name, alias FROM registered_model_aliases") == [
        ("ner-tiny", "newest")
    ]


def test_a_finished_model_is_not_written_over(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It may be the only copy; --run has a default, which is that of other commands as well."""
    run = tmp_path / "runs" / "first"
    words = [*words, "--no-tracking"]
    assert main(words) == 0
    learned = [(run / name).read_bytes() for name in MODEL_FILES]
    capsys.readouterr()
    assert main([*words, "--seed", "3"]) == 1
    assert f"error: {run}: holds a model already" in capsys.readouterr().err
    assert [(run / name).read_bytes() for name in MODEL_FILES] == learned


def test_a_stop_after_the_last_step_says_how_to_go_on(
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    run = tmp_path / "runs" / "first"
    words = [*words, "--no-tracking"]
    with monkeypatch.context() as patch:
        patch.setattr("training.fine_tune_command.calibrate", interrupted)
        assert main(words) == 130
    message = capsys.readouterr().err
    assert "stopped: all is learned, what comes after is not done; its state is written" in message
    assert f"--run {run} " in message.splitlines()[-1]
    assert message.endswith("--resume\n")
    assert (run / STATE_FILE).exists()

    assert main([*words, "--resume"]) == 0
    assert not (run / STATE_FILE).exists()
    assert calibrate(run, []).temperature != 1.0
