"""Data sources: a folder on this machine, or one at a commit of a repository."""

import json
import re
import tempfile
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from training.readers.record import DataInvalid

# Written into a folder that was taken from a repository.
_REVISION_FILE = "revision.json"
_NAME = re.compile(r"(?P<repository>.+)@(?P<revision>[^@:]+)(?::(?P<path>[^@:]*))?")
_FORM = "a folder, or REPOSITORY@REVISION or REPOSITORY@REVISION:PATH"


@dataclass(frozen=True, slots=True)
class Source:
    """A folder of a repository that DVC tracks."""

    repository: str  # folder or address
    revision: str  # branch, tag or commit
    path: str  # in the repository; empty: its root


@dataclass(frozen=True, slots=True)
class _Revision:
    repository: str
    commit: str
    path: str


def parse(name: str) -> Source | None:
    """What a name means.

    Args:
        name: as a person writes it.

    Returns:
        The source; None where the name is that of a folder.
    """
    match = _NAME.fullmatch(name)
    if match is None or Path(name).exists():
        return None
    return Source(match["repository"], match["revision"], (match["path"] or "").strip("/"))


def fetch(name: str, cache: Path) -> Path:
    """Brings a data folder to this machine.

    Args:
        name: a folder, which is used as it is, or `repository@revision[:path]`.
        cache: gets what is fetched, a folder for each commit, each fetched once.

    Raises:
        DataInvalid: there is no such folder, repository or revision, or DVC is not installed.
    """
    source = parse(name)
    if source is None:
        if not Path(name).is_dir():
            raise DataInvalid(f"{name}: No such file or directory; --data names {_FORM}")
        return Path(name)
    return _fetch(source, cache)


def read_revision(folder: Path) -> str | None:
    """The commit that a data folder was fetched from; None for an ordinary folder."""
    path = folder / _REVISION_FILE
    if not path.is_file():
        return None
    commit = json.loads(path.read_text("utf-8"))["commit"]
    return str(commit)


def _fetch(source: Source, cache: Path) -> Path:
    try:
        from dvc.api import DVCFileSystem  # type: ignore[import-untyped]  # ships no types
        from dvc.exceptions import DvcException  # type: ignore[import-untyped]  # likewise
        from scmrepo.exceptions import SCMError
    except ImportError as error:
        raise DataInvalid(
            f"{source.repository}@{source.revision}: needs DVC: pip install dvc"
            " (dvc[s3] for an S3 remote), or give a plain folder"
        ) from error
    name = f"{source.repository}@{source.revision}"
    try:
        files = DVCFileSystem(url=source.repository, rev=source.revision)
        with files.repo:
            commit = files.repo.get_rev()
            revision = _Revision(source.repository, commit, source.path)
            target = cache / sha256(repr(revision).encode()).hexdigest()[:16]
            if target.is_dir():
                return target
            if source.path and not files.isdir(f"/{source.path}"):
                raise DataInvalid(f"{name}: has no folder {source.path} at commit {commit}")
            _download(files, revision, target)
    except (DvcException, SCMError, OSError) as error:
        raise DataInvalid(f"{name}: {error.__cause__ or error}; --data names {_FORM}") from error
    return target


def _download(files: Any, revision: _Revision, target: Path) -> None:
    """Writes all of a folder or nothing."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as temporary:
        partial = Path(temporary) / "data"
        files.get(f"/{revision.path}", str(partial), recursive=True)
        content = json.dumps(asdict(revision), indent=1) + "\n"
        (partial / _REVISION_FILE).write_text(content, "utf-8")
        try:
            partial.rename(target)
        except OSError:
            if not target.is_dir():  # else another process was faster
                raise
