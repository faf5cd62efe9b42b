"""Files that are read again when they change."""

from pathlib import Path

import pytest

from credentials.errors import CredentialInvalid
from credentials.watched_files import LOOK_EVERY_S, WatchedFiles, read_bytes
from tests.clock import Clock


class _Reading:
    """Reads two files that must agree, and counts."""

    def __init__(self, folder: Path) -> None:
        self.paths = (folder / "a", folder / "b")
        self.count = 0
        self.permitted = True
        self.broken = False

    def write(self, a: str, b: str) -> None:
        for path, text in zip(self.paths, (a, b), strict=True):
            fresh = path.with_suffix(".new")
            fresh.write_text(text)
            fresh.replace(path)

    def __call__(self) -> bytes:
        self.count += 1
        if not self.permitted:
            raise CredentialInvalid("a cannot be read")
        if self.broken:
            raise RuntimeError("hush")
        a, b = (read_bytes(path) for path in self.paths)
        if a != b:
            raise CredentialInvalid("a and b differ")
        return a


@pytest.fixture
def reading(tmp_path: Path) -> _Reading:
    reading = _Reading(tmp_path)
    reading.write("1", "1")
    return reading


def _looks(watched: WatchedFiles[bytes], clock: Clock) -> list[bytes]:
    """What is held after each of three looks at the files."""
    held = []
    for _ in range(3):
        clock.now_s += LOOK_EVERY_S
        held.append(watched.current())
    return held


def test_files_are_read_when_they_change_and_not_before(reading: _Reading) -> None:
    clock = Clock()
    watched = WatchedFiles(reading.paths, reading, clock)
    for _ in range(10):
        clock.now_s += LOOK_EVERY_S
        assert watched.current() == b"1"
    assert reading.count == 1
    reading.write("2", "2")
    assert watched.current() == b"1", "looked at once a second at most"
    clock.now_s += LOOK_EVERY_S
    assert watched.current() == b"2"


def test_what_cannot_be_read_leaves_the_old_value_until_it_can(reading: _Reading) -> None:
    clock = Clock()
    watched = WatchedFiles(reading.paths, reading, clock)
    for a, b, expected in (("2", "1", b"1"), ("2", "2", b"2"), ("3", "2", b"2"), ("3", "3", b"3")):
        reading.write(a, b)
        clock.now_s += LOOK_EVERY_S
        assert watched.current() == expected
    reading.paths[0].unlink()
    clock.now_s += LOOK_EVERY_S
    assert watched.current() == b"3"
    reading.write("4", "4")
    clock.now_s += LOOK_EVERY_S
    assert watched.current() == b"4"


def test_a_reading_that_failed_is_tried_again_though_the_files_do_not_change(
    reading: _Reading, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that comes with the wrong mode has the same date and size when it is mended."""
    clock = Clock()
    watched = WatchedFiles(reading.paths, reading, clock)
    reading.permitted = False
    reading.write("2", "2")
    assert _looks(watched, clock) == [b"1"] * 3
    reading.permitted = True
    assert _looks(watched, clock) == [b"2"] * 3
    assert "".join(capsys.readouterr()).count("files_refused") == 1
    assert reading.count == 5, "and what was read is not read again"


def test_an_error_that_nobody_has_thought_of_leaves_the_old_value_and_is_told(
    reading: _Reading, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its message may quote the files, and is not written."""
    clock = Clock()
    watched = WatchedFiles(reading.paths, reading, clock)
    reading.broken = True
    reading.write("2", "2")
    assert _looks(watched, clock) == [b"1"] * 3
    logged = "".join(capsys.readouterr())
    assert logged.count("files_refused") == 1
    assert "RuntimeError" in logged
    assert "hush" not in logged
    reading.broken = False
    clock.now_s += LOOK_EVERY_S
    assert watched.current() == b"2"


def test_a_link_that_leads_elsewhere_is_a_change(tmp_path: Path) -> None:
    """As a mounted secret is replaced: by its folder's link."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "token").write_text(name)
    link = tmp_path / "data"
    link.symlink_to(tmp_path / "one")
    clock = Clock()
    path = link / "token"
    watched = WatchedFiles((path,), lambda: read_bytes(path), clock)
    fresh = tmp_path / "data.new"
    fresh.symlink_to(tmp_path / "two")
    fresh.replace(link)
    clock.now_s += LOOK_EVERY_S
    assert watched.current() == b"two"


def test_at_the_start_there_is_no_old_value(reading: _Reading) -> None:
    reading.write("1", "2")
    with pytest.raises(CredentialInvalid):
        WatchedFiles(reading.paths, reading)
