"""A keys file that gains an entry."""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile

from credentials.errors import CredentialInvalid
from credentials.keys import parse_keys


def append(path: Path, entry: str) -> None:
    """Add an entry to a file, whole or not at all.

    A file that is missing is made, for its owner alone; another one keeps its owner and its mode.
    Of several that add to it at one moment each waits for the one before.

    Args:
        path: of the file, in TOML.
        entry: in TOML.

    Raises:
        CredentialInvalid: the file cannot be read, or could not be with the entry, or cannot be
            written.
    """
    try:
        # Of a symbolic link, what it leads to.
        file = path.resolve()
        with _alone_in(file.parent):
            old = file.read_bytes() if file.exists() else b""
            gap = b"" if not old else b"\n" if old.endswith(b"\n") else b"\n\n"
            new = old + gap + entry.encode() + b"\n"
            parse_keys(new, path)
            _replace(file, new)
    except OSError as error:
        raise CredentialInvalid(f"{path}: cannot be read and written ({error.strerror})") from None


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Wait for all others who change files of a folder, and hold them off.

    It is the folder that is locked: the file itself is replaced, and a lock goes with the old one.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _replace(path: Path, content: bytes) -> None:
    """Write a file that services may read at any moment: they find the old one or the new."""
    # Its mode is 0600.
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            file.write(content)
            file.flush()
            if path.exists():
                _look_like(path.stat(), file.fileno())
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink()
            raise


def _look_like(old: os.stat_result, file: int) -> None:
    """Let a file have the owner and the mode of an old one, whose readers must not lose it."""
    new = os.fstat(file)
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        os.fchown(file, old.st_uid, old.st_gid)
    os.fchmod(file, stat.S_IMODE(old.st_mode))
