"""A folder that follows a source, and what it does not take from it."""

import json
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from inference.errors import FileWithheld, SourceUnreadable
from inference.loader import Loader
from inference.mirror import Mirror, sort_out
from inference.sources.source import RemoteFile
from inference.version_folder import LoadRules
from tests.live_models import write_variant
from tests.tiny_model import write_manifest

_LIMIT = 10_000_000


class FolderSource:
    """A source that is a folder; a file's tag is its content."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fetched: list[str] = []
        self.extra: list[RemoteFile] = []
        self.down = False
        self.pause_s = 0.0  # before each fetch
        self.withheld = ""  # a path that is listed and not given

    def files(self) -> list[RemoteFile]:
        if self.down:
            raise SourceUnreadable("down")
        paths = [path for path in self.folder.rglob("*") if path.is_file()]
        found = [(path.relative_to(self.folder), path.read_bytes()) for path in paths]
        listed = [RemoteFile(str(name), len(raw), str(hash(raw))) for name, raw in found]
        return listed + self.extra

    def fetch(self, file: RemoteFile, target: Path) -> None:
        self.fetched.append(file.path)
        time.sleep(self.pause_s)
        if file.path == self.withheld:
            raise FileWithheld(f"{file.path}: 403")
        target.write_bytes((self.folder / file.path).read_bytes())

    def close(self) -> None:
        self.down = True


@pytest.fixture
def source(tmp_path: Path) -> FolderSource:
    """A source with tiny/1, and a routing."""
    write_manifest(write_variant(tmp_path / "remote" / "tiny" / "1"))
    (tmp_path / "remote" / "tiny" / "routing.json").write_text("{}")
    return FolderSource(tmp_path / "remote")


@pytest.fixture
def mirror(source: FolderSource, tmp_path: Path) -> Mirror:
    return Mirror(source, tmp_path / "cache", _LIMIT)


def versions(tmp_path: Path) -> set[str]:
    """What stands in the cache."""
    return {f"{p.parent.name}/{p.name}" for p in (tmp_path / "cache").glob("[a-z]*/[0-9]*")}


def test_what_has_not_changed_is_not_fetched_again(
    source: FolderSource, mirror: Mirror, tmp_path: Path
) -> None:
    mirror.sync()
    assert versions(tmp_path) == {"tiny/1"}
    assert (tmp_path / "cache" / "tiny" / "routing.json").read_text() == "{}"
    source.fetched.clear()
    mirror.sync()
    assert source.fetched == []
    write_variant(tmp_path / "remote" / "tiny" / "2")
    mirror.sync()
    assert versions(tmp_path) == {"tiny/1", "tiny/2"}
    assert {path.split("/")[1] for path in source.fetched} == {"2"}


def test_what_the_source_has_dropped_is_dropped(
    source: FolderSource, mirror: Mirror, tmp_path: Path
) -> None:
    write_variant(tmp_path / "remote" / "tiny" / "2")
    mirror.sync()
    write_variant(tmp_path / "cache" / "mine" / "1")
    (tmp_path / "remote" / "tiny" / "1").rename(tmp_path / "elsewhere")
    (tmp_path / "remote" / "tiny" / "routing.json").unlink()
    mirror.sync()
    assert versions(tmp_path) == {"tiny/2", "mine/1"}
    assert not (tmp_path / "cache" / "tiny" / "routing.json").exists()


def test_a_source_that_lists_nothing_or_is_down_drops_nothing(
    source: FolderSource, mirror: Mirror, tmp_path: Path
) -> None:
    mirror.sync()
    (tmp_path / "remote" / "tiny").rename(tmp_path / "elsewhere")
    with pytest.raises(SourceUnreadable, match="lists no model"):
        mirror.sync()
    source.down = True
    with pytest.raises(SourceUnreadable, match="down"):
        mirror.sync()
    assert versions(tmp_path) == {"tiny/1"}


@pytest.mark.parametrize("path", ["another/1/model.onnx", "another/routing.json"])
def test_what_is_not_given_keeps_nothing_else_waiting_and_is_asked_for_again(
    source: FolderSource, tmp_path: Path, capsys: pytest.CaptureFixture[str], path: str
) -> None:
    now_s = 0.0
    mirror = Mirror(source, tmp_path / "cache", _LIMIT, lambda: now_s)
    write_manifest(write_variant(tmp_path / "remote" / "another" / "1"))
    (tmp_path / "remote" / "another" / "routing.json").write_text("{}")
    source.withheld = path
    for _ in range(2):
        mirror.sync()
        assert (tmp_path / "cache" / "tiny" / "1").is_dir()
        assert (tmp_path / "cache" / "tiny" / "routing.json").is_file()
        assert not (tmp_path / "cache" / path).exists()
    assert source.fetched.count(path) == 1
    now_s = 31.0
    mirror.sync()
    assert source.fetched.count(path) == 2
    assert "".join(capsys.readouterr()).count(": 403") == 1
    source.withheld, now_s = "", 62.0
    mirror.sync()
    assert (tmp_path / "cache" / path).is_file()


def test_what_replaces_a_version_and_is_not_given_costs_it_nothing(
    source: FolderSource, mirror: Mirror, tmp_path: Path
) -> None:
    mirror.sync()
    write_manifest(write_variant(tmp_path / "remote" / "tiny" / "2"))
    shutil.rmtree(tmp_path / "remote" / "tiny" / "1")
    source.withheld = "tiny/2/model.onnx"
    mirror.sync()
    assert versions(tmp_path) == {"tiny/1"}
    source.withheld = ""
    mirror.sync(anew="tiny")
    assert versions(tmp_path) == {"tiny/2"}


def test_what_is_not_given_is_told_to_who_asks_for_its_model(
    source: FolderSource, mirror: Mirror, tmp_path: Path
) -> None:
    loader = Loader(LoadRules(tmp_path / "cache"), mirror=mirror)
    source.withheld = "tiny/1/model.onnx"
    with pytest.raises(SourceUnreadable, match=r"tiny/1/model.onnx: 403"):
        loader.scan()
    write_manifest(write_variant(tmp_path / "remote" / "another" / "1"))
    assert loader.scan().keys() == {"another"}
    assert loader.scan_model("another").versions.keys() == {"1"}
    for _ in range(2):
        source.fetched.clear()
        with pytest.raises(SourceUnreadable, match=r"tiny/1/model.onnx: 403"):
            loader.scan_model("tiny")
        assert source.withheld in source.fetched
    source.withheld = ""
    assert loader.scan_model("tiny").versions.keys() == {"1"}


def test_what_the_source_takes_back_is_no_longer_withheld(
    source: FolderSource, mirror: Mirror, tmp_path: Path
) -> None:
    mirror.sync()
    config = tmp_path / "remote" / "tiny" / "1" / "config.json"
    good = config.read_bytes()
    config.write_text("{}")
    source.withheld = "tiny/1/config.json"
    mirror.sync()
    assert mirror.withheld("tiny") is not None
    config.write_bytes(good)
    mirror.sync()
    assert mirror.withheld("tiny") is None


def test_an_upload_that_has_not_ended_is_left_for_the_next_time(
    source: FolderSource, mirror: Mirror, tmp_path: Path
) -> None:
    mirror.sync()
    folder = write_variant(tmp_path / "remote" / "tiny" / "2")
    write_manifest(folder)
    (folder / "model.onnx").rename(tmp_path / "model.onnx")
    source.fetched.clear()
    mirror.sync()
    assert versions(tmp_path) == {"tiny/1"}
    assert source.fetched == ["tiny/2/manifest.json"]
    (tmp_path / "model.onnx").rename(folder / "model.onnx")
    mirror.sync()
    assert versions(tmp_path) == {"tiny/1", "tiny/2"}


def test_a_replacement_with_another_hash_does_not_take_the_place(
    source: FolderSource, mirror: Mirror, tmp_path: Path
) -> None:
    mirror.sync()
    good = (tmp_path / "cache" / "tiny" / "1" / "config.json").read_bytes()
    (tmp_path / "remote" / "tiny" / "1" / "config.json").write_text("{}")
    mirror.sync()
    assert (tmp_path / "cache" / "tiny" / "1" / "config.json").read_bytes() == good


def test_what_was_refused_is_fetched_again_only_when_it_has_changed(
    source: FolderSource, mirror: Mirror, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mirror.sync()
    config = tmp_path / "remote" / "tiny" / "1" / "config.json"
    good = config.read_bytes()
    config.write_text("{}")
    mirror.sync()
    source.fetched.clear()
    mirror.sync()
    assert source.fetched == []
    assert "".join(capsys.readouterr()).count("model_not_fetched") == 1
    config.write_bytes(good)
    write_manifest(config.parent)
    (config.parent / "more.txt").write_text("")
    mirror.sync()
    assert "tiny/1/more.txt" in source.fetched


def test_two_who_sync_at_once_do_not_spoil_each_others_versions(
    source: FolderSource, mirror: Mirror, tmp_path: Path
) -> None:
    write_manifest(write_variant(tmp_path / "remote" / "tiny" / "2"))
    source.pause_s = 0.05
    with ThreadPoolExecutor(2) as pool:
        for sync in [pool.submit(mirror.sync) for _ in range(2)]:
            sync.result()
    for version in "12":
        names = [{p.name for p in (tmp_path / where / "tiny" / version).iterdir()}
                 for where in ("remote", "cache")]  # fmt: skip
        assert names[0] == names[1]
    assert len(source.fetched) == len(set(source.fetched))


def test_paths_that_lead_elsewhere_are_not_written() -> None:
    files = [
        RemoteFile(path, 1, "tag")
        for path in (
            "tiny/1/model.onnx", "tiny/1/onnx/model.onnx", "tiny/2/../../x", "tiny/3//x",
            "../tiny/4/x", "/etc/5/x", "tiny/6/a\\b", "tiny/.7/x", "tiny/8/a/b/c", "readme.txt", "",
        )
    ]  # fmt: skip
    wanted = sort_out(files, _LIMIT)
    assert set(wanted.versions) == {"tiny/1"}
    assert {"tiny/2", "tiny/3", "tiny/6", "tiny/8"} <= set(wanted.refused)


def test_a_version_with_one_bad_path_is_refused_as_a_whole() -> None:
    files = [RemoteFile("tiny/1/model.onnx", 1, ""), RemoteFile("tiny/1/../x", 1, "")]
    assert sort_out(files, _LIMIT).versions == {}


def test_a_version_that_is_too_large_is_not_fetched(
    source: FolderSource, mirror: Mirror, tmp_path: Path
) -> None:
    source.extra.append(RemoteFile("tiny/9/model.onnx", 10 * 1024**3, "tag"))
    mirror.sync()
    assert versions(tmp_path) == {"tiny/1"}
    assert not any(path.startswith("tiny/9") for path in source.fetched)


def test_a_cut_off_fetch_leaves_no_half_version(
    source: FolderSource, mirror: Mirror, tmp_path: Path
) -> None:
    source.extra.append(RemoteFile("tiny/2/model.onnx", 5, "tag"))
    with pytest.raises(FileNotFoundError):
        mirror.sync()
    assert versions(tmp_path) == {"tiny/1"}
    source.extra.clear()
    mirror.sync()
    assert json.loads((tmp_path / "cache" / "tiny" / "1" / "config.json").read_text())
