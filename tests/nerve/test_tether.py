"""A module runs as if started by itself, and ends with whoever started it."""

import subprocess
import sys
from pathlib import Path

_HERE = Path(__file__).parent


def tethered(module: str, grace_s: float, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Starts a module from the folder of the tests behind a tether."""
    return subprocess.Popen(
        [sys.executable, "-m", "nerve.tether", module, str(grace_s)],
        stdin=subprocess.PIPE,
        env=environment,
    )


def fake(journal: Path, manner: str) -> dict[str, str]:
    """The environment of a fake service."""
    return {
        "PYTHONPATH": str(_HERE),
        "FAKE_NAME": "fake",
        "FAKE_JOURNAL": str(journal),
        "FAKE_MANNER": manner,
    }


def wait_for_start(process: subprocess.Popen[bytes], journal: Path) -> None:
    """Waits until the fake has installed its handler and said so, to the end of the line."""
    while not (journal.exists() and journal.read_text().endswith("\n")):
        assert process.poll() is None


def test_the_exit_code_is_the_modules_own(tmp_path: Path) -> None:
    with tethered("fake_service", 1, fake(tmp_path / "journal", "dies")) as process:
        assert process.wait(30) == 3


def test_when_the_starter_is_gone_the_module_drains(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    with tethered("fake_service", 30, fake(journal, "clean")) as process:
        wait_for_start(process, journal)
        assert process.stdin is not None
        process.stdin.close()  # as the kernel does for a process that was killed
        assert process.wait(30) == 0
    assert journal.read_text().splitlines()[1:] == ["fake asked", "fake ended"]


def test_a_module_that_will_not_drain_is_ended_after_its_grace(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    with tethered("fake_service", 1, fake(journal, "stubborn")) as process:
        wait_for_start(process, journal)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(30) == 1
    assert journal.read_text().splitlines()[1:] == ["fake asked"]
