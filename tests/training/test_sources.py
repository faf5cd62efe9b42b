"""Data folders, plain and from a repository that DVC tracks."""

import builtins
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from dvc.repo import Repo  # type: ignore[import-untyped]  # ships no types

from training.__main__ import main
from training.checkpoint import load_record
from training.data import SourceSet
from training.data_folder import read_corpus
from training.readers.record import DataInvalid
from training.sources import Source, fetch, parse, read_revision

# DVC's own use of pygtrie.
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")
SET = SourceSet("mine", "Mine", "CC0-1.0")


class Repository:
    """A git repository whose folder `data` is kept by DVC, with a folder as its remote."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "repository"
        self.folder.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch", "main")
        self._dvc = Repo.init(str(self.folder))
        with self._dvc.config.edit("repo") as config:
            config["remote"]["store"] = {"url": str(root / "store")}
            config["core"]["remote"] = "store"

    def git(self, *arguments: str) -> str:
        """Runs git; returns what it printed."""
        git = shutil.which("git") or "git"
        author = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        command = [git, *author, *arguments]
        run = subprocess.run(command, cwd=self.folder, check=True, capture_output=True, text=True)
        return run.stdout.strip()

    def commit(self, token: str) -> str:
        """Writes a set of one token, pushes it, and returns the commit."""
        folder = self.folder / "data" / "mine"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "set.json").write_text("{}")
        (folder / "train.conll").write_text(f"{token} O\n")
        (folder / "dev.conll").write_text("Ann B-PER\n")
        self._dvc.add([str(self.folder / "data")])
        self._dvc.push()
        # Only the remote may serve, as on another machine.
        shutil.rmtree(self.folder / ".dvc" / "cache" / "files")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", token)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    return Repository(tmp_path)


def texts(folder: Path) -> list[str]:
    return [example.text for example in read_corpus(folder, SET, "train").examples]


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_a_branch_is_its_last_commit_and_a_commit_stays(
    repository: Repository, tmp_path: Path, form: str
) -> None:
    name = form.format(repository.folder)
    cache = tmp_path / "cache"
    older = repository.commit("older")
    first = fetch(f"{name}@main:data", cache)
    assert texts(first) == ["older"]

    newer = repository.commit("newer")
    assert texts(fetch(f"{name}@main:data", cache)) == ["newer"]
    assert read_corpus(fetch(f"{name}@main:data", cache), SET, "train").revision == newer
    assert fetch(f"{name}@{older}:data", cache) == first
    assert read_corpus(first, SET, "train").revision == older


def test_the_root_of_a_repository_is_a_data_folder_too(
    repository: Repository, tmp_path: Path
) -> None:
    commit = repository.commit("only")
    folder = fetch(f"{repository.folder}@main", tmp_path / "cache")
    assert read_revision(folder) == commit
    assert texts(folder / "data") == ["only"]


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        ("{}@none:data", "unknown Git revision 'none'"),
        ("{}@main:none", "has no folder none at commit"),
        ("{}/none@main", "REPOSITORY@REVISION:PATH"),
    ],
)
def test_what_is_not_in_a_repository_is_named(
    repository: Repository, tmp_path: Path, form: str, reason: str
) -> None:
    repository.commit("only")
    name = form.format(repository.folder)
    with pytest.raises(DataInvalid, match=reason):
        fetch(name, tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*"))


def test_a_model_s_record_has_the_commit_of_its_data(
    repository: Repository, encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commit = repository.commit("seoul")
    run = tmp_path / "run"
    place = ["--run", str(run), "--data-cache", str(tmp_path / "cache"), "--no-tracking"]
    recipe = ["--encoder", str(encoder), "--epochs", "1", "--threads", "1"]
    name = f"{repository.folder}@main"
    assert main(["fine-tune", "--data", f"{name}:data", *place, *recipe]) == 0
    assert [data.revision for data in load_record(run).data] == [commit]

    assert main(["fine-tune", "--data", f"{name}:none", *place, *recipe]) == 1
    assert f"error: {name}: has no folder none at commit {commit}" in capsys.readouterr().err


def test_a_plain_folder_is_used_as_it_is_and_has_no_commit(tmp_path: Path) -> None:
    folder = tmp_path / "a@b"
    folder.mkdir()
    assert fetch(str(folder), tmp_path / "cache") == folder
    assert read_revision(folder) is None


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataInvalid, match="No such file or directory; --data names a folder, or"):
        fetch(str(tmp_path / "none"), tmp_path / "cache")


def test_without_dvc_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported = builtins.__import__

    def without_dvc(
        name: str,
        scope: Mapping[str, object] | None = None,
        local: Mapping[str, object] | None = None,
        names: Sequence[str] | None = (),
        level: int = 0,
    ) -> object:
        if name.startswith("dvc"):
            raise ImportError(name)
        return imported(name, scope, local, names or (), level)

    monkeypatch.setattr(builtins, "__import__", without_dvc)
    with pytest.raises(DataInvalid, match="needs DVC: pip install dvc"):
        fetch("repository@main", tmp_path)


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("data", None),
        ("r@main", Source("r", "main", "")),
        ("r@feature/x:sets/english/", Source("r", "feature/x", "sets/english")),
        ("https://me@host/r.git@v1", Source("https://me@host/r.git", "v1", "")),
        ("git@host:me/r.git@main:data", Source("git@host:me/r.git", "main", "data")),
    ],
)
def test_a_name_is_taken_apart_at_its_last_at_sign(name: str, source: Source | None) -> None:
    assert parse(name) == source
