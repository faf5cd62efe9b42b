"""What stands in a model repository: names, versions and routings, without loading any.

models/<name>/<version>/…   models/<name>/routing.json
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from inference import routing
from inference.errors import ModelInvalid
from inference.folder_files import Listing, list_files
from inference.json_file import read_object
from inference.routing import NAME_PATTERN, Routing


@dataclass(frozen=True, slots=True)
class FoundVersion:
    """A version folder as it stood when it was looked at."""

    folder: Path
    listing: Listing


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A model's folder as it stood when it was looked at; equal ones have equal contents."""

    versions: Mapping[str, FoundVersion] = field(default_factory=dict)
    routing: Routing = field(default_factory=Routing)
    routing_fault: str = ""  # why routing.json cannot be used


NOTHING = FoundModel()


def scan(root: Path) -> dict[str, FoundModel]:
    """Looks at every model of a repository; waits for the disk.

    Args:
        root: the repository.
    """
    found = {path.name: scan_model(root, path.name) for path in _named_folders(root)}
    return {name: model for name, model in found.items() if model.versions}


def scan_model(root: Path, name: str) -> FoundModel:
    """Looks at one model of a repository; waits for the disk.

    Args:
        root: the repository.
        name: the model's; one that is no name of a model gives nothing.
    """
    folder = root / name
    if not NAME_PATTERN.fullmatch(name) or not folder.is_dir():
        return NOTHING
    versions = {
        path.name: FoundVersion(path, list_files(path, root)) for path in _named_folders(folder)
    }
    try:
        return FoundModel(versions, _routing(folder / routing.FILE_NAME))
    except ModelInvalid as error:
        return FoundModel(versions, routing_fault=str(error))


def settled(before: FoundModel, now: FoundModel, applied: FoundModel) -> FoundModel:
    """What may be acted upon: all that looked the same twice; the rest stays as it was.

    So a folder that is still being written, or is replaced by deletion and renaming, is neither
    loaded half nor taken for gone.

    Args:
        before: the model at the look before.
        now: the model at this look.
        applied: what was acted upon last.
    """
    versions: dict[str, FoundVersion] = {}
    for version in {**applied.versions, **now.versions}:
        seen = now.versions.get(version)
        chosen = seen if seen == before.versions.get(version) else applied.versions.get(version)
        if chosen is not None:
            versions[version] = chosen
    view = FoundModel(versions, now.routing, now.routing_fault)
    if now.routing_fault:
        return replace(view, routing=applied.routing)
    if (now.routing, now.routing_fault) != (before.routing, before.routing_fault):
        return replace(view, routing=applied.routing, routing_fault=applied.routing_fault)
    return view


def _routing(path: Path) -> Routing:
    return routing.parse(read_object(path)) if path.is_file() else Routing()


def _named_folders(folder: Path) -> list[Path]:
    """The folders whose names a version or model may have, by name."""
    try:
        paths = sorted(folder.iterdir())
    except OSError:  # it has gone since it was listed
        return []
    return [path for path in paths if path.is_dir() and NAME_PATTERN.fullmatch(path.name)]
