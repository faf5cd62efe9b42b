"""Every step of training on the built-in sample, as `make train` runs it."""

from pathlib import Path

import pytest

from training.__main__ import main


@pytest.mark.timeout(600)
def test_the_sample_goes_from_sentences_to_an_answer_of_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """No tracking server hears of it: SQLite in a folder stands for one."""
    server = tmp_path / "server.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{server}")
    monkeypatch.chdir(tmp_path)
    assert main(["train"]) == 0
    output = capfd.readouterr().out
    steps = [line.partition("] ")[2] for line in output.splitlines() if line.startswith("[")]
    assert [step.partition(" ")[0].strip(":,") for step in steps] == [
        "data",
        "fine-tune",
        "resume",
        "export",
        "serve",
    ]
    assert "stopped: step 14 of" in output
    answers = [line.split(" 0.")[0].split(" 1.")[0].strip() for line in output.splitlines()]
    for answer in ("Corin Lindqvist: PER", "Port Elvane: LOC", "Brackwater: LOC"):
        assert answer in answers
    assert not server.exists()
