"""A disk on which nothing more can be written, while a new version is fetched."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from inference.mirror import Mirror
from tests.inference.test_mirror import FolderSource
from tests.live_models import open_repository, write_variant
from tests.tiny_model import write_manifest

_MIB = 2**20


@contextmanager
def _no_room(file_bytes: int) -> Iterator[None]:
    """No file may grow beyond this: writing fails as on a full disk, and no root is needed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_version_for_which_there_is_no_room_leaves_the_one_that_is_served(tmp_path: Path) -> None:
    """The old version stays whole and is served; the new one comes once there is room again."""
    write_manifest(write_variant(tmp_path / "remote" / "tiny" / "1"))
    cache = tmp_path / "cache"
    mirror = Mirror(FolderSource(tmp_path / "remote"), cache, 10 * _MIB)
    mirror.sync()
    new = write_manifest(write_variant(tmp_path / "remote" / "tiny" / "2", "LOC")).parent
    largest = max(path.stat().st_size for path in new.iterdir())
    for _ in range(2):  # what the first attempt left behind is in nobody's way
        with _no_room(largest - 1), pytest.raises(OSError, match="File too large"):
            mirror.sync()
        repository, _ = open_repository(cache)
        assert [(v.version, v.live) for v in repository.versions] == [("1", True)]
    mirror.sync()
    repository, _ = open_repository(cache)
    assert [v.version for v in repository.versions if v.live] == ["2"]
