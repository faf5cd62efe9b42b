"""The files of a version folder: which there are, and that none leads out or is too large.

Nothing is opened here. A folder that a stranger wrote may hold links to other places, pipes that
never end, and files that claim to be larger than the disk; they are refused from their names and
sizes alone.
"""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from inference.errors import ModelInvalid

# An export has some ten files; a folder with more is not one, and is not worth its listing.
MAX_FILES = 200
# transformers.js and Optimum put ONNX files into one folder below; nothing is deeper.
_MAX_DEPTH = 2


@dataclass(frozen=True, slots=True)
class File:
    """One file, seen without opening it."""

    name: str  # path in the folder, with "/"
    size_bytes: int
    mtime_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class Listing:
    """What a version folder holds: equal listings are equal contents, as far as names tell."""

    files: tuple[File, ...] = ()  # by name
    fault: str = ""  # why nothing of the folder may be opened

    @property
    def names(self) -> frozenset[str]:
        """The names of the files."""
        return frozenset(file.name for file in self.files)

    def size_bytes(self, name: str) -> int:
        """The size of a file, 0 when there is none of this name."""
        return next((file.size_bytes for file in self.files if file.name == name), 0)

    @property
    def total_bytes(self) -> int:
        """The size of all files."""
        return sum(file.size_bytes for file in self.files)


def list_files(folder: Path, root: Path) -> Listing:
    """Lists a version folder.

    Args:
        folder: the version folder.
        root: the repository; a link may lead to another place in it, and to none outside.

    Returns:
        Its files; with a fault where one of them must not be opened.
    """
    files: list[File] = []
    try:
        _collect(folder, "", os.path.realpath(root), files)
    except OSError as error:
        return Listing(_sorted(files), f"{Path(error.filename or folder).name}: {error.strerror}")
    except ModelInvalid as error:
        return Listing(_sorted(files), str(error))
    return Listing(_sorted(files))


def check_size(listing: Listing, max_bytes: int) -> None:
    """Refuses a folder that is unsafe to open or larger than allowed, before any file is read.

    Args:
        listing: of the folder.
        max_bytes: most bytes of all files together.

    Raises:
        ModelInvalid: it is.
    """
    if listing.fault:
        raise ModelInvalid(listing.fault)
    if listing.total_bytes > max_bytes:
        raise ModelInvalid(
            f"the folder holds {listing.total_bytes} bytes, more than {max_bytes}:"
            " INFERENCE_MAX_VERSION_MIB allows more"
        )


def _collect(folder: Path, prefix: str, root: str, files: list[File]) -> None:
    real = os.path.realpath(folder)
    if os.path.commonpath([root, real]) != root:
        raise ModelInvalid(f"{prefix or folder.name}: leads out of the model repository")
    with os.scandir(folder) as entries:
        for entry in entries:
            name = f"{prefix}{entry.name}"
            if len(files) >= MAX_FILES:
                raise ModelInvalid(f"more than {MAX_FILES} files")
            found = entry.stat()
            if stat.S_ISDIR(found.st_mode):
                # A folder of a version control system or an editor is no content.
                if name.count("/") + 1 < _MAX_DEPTH and not entry.name.startswith("."):
                    _collect(Path(entry.path), f"{name}/", root, files)
                continue
            if entry.is_symlink() and os.path.commonpath([root, os.path.realpath(entry.path)]) != (
                root
            ):
                raise ModelInvalid(f"{name}: leads out of the model repository")
            if not stat.S_ISREG(found.st_mode):
                raise ModelInvalid(f"{name}: not a file")
            files.append(File(name, found.st_size, found.st_mtime_ns, found.st_ino))


def _sorted(files: list[File]) -> tuple[File, ...]:
    return tuple(sorted(files, key=lambda file: file.name))
