"""The manifest of a version folder: every file with its hash."""

import hashlib
from pathlib import Path

from inference.errors import ModelInvalid
from inference.folder_files import Listing
from inference.json_file import read_object

FILE_NAME = "manifest.json"
_SCHEMA_VERSION = 1


def verify(folder: Path, listing: Listing) -> None:
    """Compares every file with the manifest, if there is one.

    Args:
        folder: the version folder.
        listing: of it; its sizes have been found small enough to read.

    Raises:
        ModelInvalid: a file is missing, unknown to the manifest or has another hash.
    """
    if FILE_NAME not in listing.names:
        return
    expected = read_hashes(folder / FILE_NAME)
    if unknown := sorted(listing.names - expected.keys() - {FILE_NAME}):
        raise ModelInvalid(f"{unknown[0]}: not in {FILE_NAME}")
    for name, sha256 in expected.items():
        if name not in listing.names:
            raise ModelInvalid(f"{name}: named in {FILE_NAME} but missing")
        with (folder / name).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != sha256:
            raise ModelInvalid(f"{name}: its sha256 is {found}, {FILE_NAME} says {sha256}")


def read_hashes(path: Path) -> dict[str, str | None]:
    """Reads the hashes that a manifest gives.

    Args:
        path: the manifest.

    Returns:
        File names with their sha256, none where an entry holds no hash.

    Raises:
        ModelInvalid: it is no manifest of a version that this service knows.
    """
    content = read_object(path)
    if content.get("schema_version") != _SCHEMA_VERSION:
        raise ModelInvalid(f"{FILE_NAME}: schema_version must be {_SCHEMA_VERSION}")
    files = content.get("files")
    if not isinstance(files, dict) or not files:
        raise ModelInvalid(f"{FILE_NAME}: files must name at least one file")
    return {
        name: entry.get("sha256") if isinstance(entry, dict) else None
        for name, entry in files.items()
    }
