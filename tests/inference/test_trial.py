"""The process in which versions are tried."""

import fcntl
import signal
import struct
import termios
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from inference.errors import LoadFailed, ModelInvalid
from inference.folder_files import list_files
from inference.trial import Trial
from inference.version_folder import LoadRules
from tests.live_models import write_variant
from tests.stopped import stop
from tests.tiny_model import write_manifest

pytestmark = pytest.mark.timeout(60)

_IDLE_S = 1.0


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Trial]:
    trial = Trial(LoadRules(tmp_path))
    yield trial
    trial.close()


@pytest.fixture
def short_trial(tmp_path: Path) -> Iterator[Trial]:
    """One that soon ends a child that nobody asks anything."""
    trial = Trial(LoadRules(tmp_path), idle_s=_IDLE_S)
    yield trial
    trial.close()


@pytest.fixture
def versions(tmp_path: Path) -> list[Path]:
    """Good ones."""
    return [write_variant(tmp_path / "tiny" / version) for version in "12"]


def check(trial: Trial, folder: Path) -> None:
    trial.check(folder, list_files(folder, folder.parents[1]))


def child() -> psutil.Process:
    """The process that tries."""
    (found,) = (c for c in psutil.Process().children() if "inference.trial" in str(c.cmdline()))
    return found


def until_asked(stopped: psutil.Process) -> None:
    """Waits until a question waits for a process that does not read."""
    with Path(f"/proc/{stopped.pid}/fd/0").open("rb", buffering=0) as asked:
        while not struct.unpack("i", fcntl.ioctl(asked, termios.FIONREAD, bytes(4)))[0]:
            threading.Event().wait(0.01)


def test_a_check_may_take_longer_than_a_child_is_kept_idle(
    short_trial: Trial, versions: list[Path]
) -> None:
    check(short_trial, versions[0])
    trying = child()
    stop(trying)
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(check, short_trial, versions[1])
        threading.Event().wait(1.5 * _IDLE_S)
        trying.send_signal(signal.SIGCONT)
        other.result()


def test_a_child_that_nobody_asks_anything_is_ended(
    short_trial: Trial, versions: list[Path]
) -> None:
    check(short_trial, versions[0])
    child().wait(20)
    check(short_trial, versions[1])


def test_what_has_passed_does_not_wait_for_another_trial(
    trial: Trial, versions: list[Path]
) -> None:
    check(trial, versions[0])
    trying = child()
    stop(trying)
    with ThreadPoolExecutor(2) as pool:
        other = pool.submit(check, trial, versions[1])
        until_asked(trying)
        pool.submit(check, trial, versions[0]).result(20)
        assert not other.done()
        trial.close()
        with pytest.raises(ModelInvalid, match="ended a trial process"):
            other.result()


def test_a_version_that_takes_too_long_is_refused(tmp_path: Path, versions: list[Path]) -> None:
    trial = Trial(LoadRules(tmp_path), timeout_s=0)
    with pytest.raises(LoadFailed, match="took more than 0 s in a trial process"):
        check(trial, versions[0])
    trial.close()


def test_a_process_that_was_killed_says_nothing_of_the_version(
    trial: Trial, versions: list[Path]
) -> None:
    """As by a system that has no memory left."""
    check(trial, versions[0])
    trying = child()
    stop(trying)
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(check, trial, versions[1])
        until_asked(trying)
        trying.kill()
        with pytest.raises(LoadFailed, match="ended a trial process"):
            other.result()
    check(trial, versions[1])


@pytest.mark.parametrize(
    ("name", "detail"),
    [
        ("manifest.json", "manifest.json: Input/output error"),
        ("model.onnx", "1: Input/output error"),  # a read that fails does not name its file
    ],
)
def test_what_the_system_refuses_says_nothing_of_the_version(
    versions: list[Path], name: str, detail: str
) -> None:
    write_manifest(versions[0])
    file, aside = versions[0] / name, versions[0].parent / name
    file.rename(aside)
    file.symlink_to("/proc/self/mem")  # can be opened, and not read
    with closing(Trial(LoadRules(Path("/")))) as trial:
        with pytest.raises(LoadFailed, match=f"^{detail}$"):
            check(trial, versions[0])
        aside.replace(file)
        check(trial, versions[0])


def test_a_process_that_has_gone_is_replaced(trial: Trial, versions: list[Path]) -> None:
    for folder in versions:
        check(trial, folder)
        trying = child()
        trying.kill()
        psutil.wait_procs([trying], 10)
