"""What every source of models offers: a listing, and one file of it at a time."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from inference.errors import FileWithheld
from inference.routing import NAME_PATTERN


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file at a source."""

    path: str  # <name>/<version>/<file> or <name>/routing.json, as the source calls it
    size_bytes: int
    tag: str  # another content has another tag


class Source(Protocol):
    """A place that holds versions of models; every call waits for it."""

    def files(self) -> list[RemoteFile]:
        """Lists everything.

        Raises:
            SourceUnreadable: it does not answer, or refuses.
        """
        ...

    def fetch(self, file: RemoteFile, target: Path) -> None:
        """Copies a file, and never more than its size.

        Args:
            file: of the listing.
            target: to be written; its folder exists.

        Raises:
            FileWithheld: it gives others, perhaps, but not this one, or sends another size.
            SourceUnreadable: it does not answer, or was closed.
        """
        ...

    def close(self) -> None:
        """Ends a fetch that is under way, where that can be done, and every later one."""
        ...


def is_safe(path: str) -> bool:
    """Whether a path of a source may be written below a folder of this machine.

    Args:
        path: as the source calls it.
    """
    parts = path.split("/")
    return 2 <= len(parts) <= 4 and all(NAME_PATTERN.fullmatch(part) for part in parts)


def write_bounded(target: Path, size_bytes: int, chunks: Iterable[bytes], what: str) -> None:
    """Writes what arrives, as long as it is no more than announced.

    Args:
        target: to be written.
        size_bytes: announced.
        chunks: the content.
        what: for the error.

    Raises:
        FileWithheld: more or less came than was announced.
    """
    written = 0
    with target.open("wb") as file:
        for chunk in chunks:
            written += len(chunk)
            if written > size_bytes:
                break
            file.write(chunk)
    if written != size_bytes:
        raise FileWithheld(f"{what}: {size_bytes} bytes were announced, others came")
