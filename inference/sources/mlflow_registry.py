"""Models of an MLflow registry: `models:/ner-en@champion`, or several, with commas between them.

The version's artifacts are the files of a version folder; its number in the registry is its
version here. When an alias moves, the version that it points to takes the place of the one before.
Needs the extra `mlflow`; MLflow itself reads MLFLOW_TRACKING_URI and credentials from the
environment.
"""

import re
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from inference.errors import FileWithheld, SourceUnreadable
from inference.sources.quiet_mlflow import load_mlflow
from inference.sources.source import RemoteFile

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

_ADDRESS = re.compile(
    r"models:/(?P<name>[A-Za-z0-9][A-Za-z0-9._-]{0,63})(?:@(?P<alias>[\w.-]+)|/(?P<version>[0-9]+))"
)
_MAX_DEPTH = 2  # folders below the artifacts' own


class MlflowSource:
    """Versions of a registry.

    Args:
        addresses: `models:/<name>@<alias>` or `models:/<name>/<version>`, with commas between them.

    Raises:
        ValueError: an address is not of this form, or MLflow is not installed.
    """

    def __init__(self, addresses: str) -> None:
        self._asked: list[re.Match[str]] = []
        for address in addresses.split(","):
            match = _ADDRESS.fullmatch(address.strip())
            if match is None:
                raise ValueError(f"{address}: must be models:/name@alias or models:/name/version")
            self._asked.append(match)
        self._places: dict[str, str] = {}  # "<name>/<version>/" -> address of its artifacts
        self._mlflow = _mlflow()
        self._closed = threading.Event()

    def files(self) -> list[RemoteFile]:
        """Lists the files of every version asked for; see `Source`."""
        found: list[RemoteFile] = []
        for match in self._asked:
            with _failures(match[0]):
                client = self._mlflow.MlflowClient()
                version = _version(client, match)
                prefix = f"{match['name']}/{version.version}/"
                place = str(client.get_model_version_download_uri(version.name, version.version))
                self._places[prefix] = place
                found += [
                    RemoteFile(f"{prefix}{path}", size, f"{place}:{version.creation_timestamp}")
                    for path, size in self._below(place, "", 0)
                ]
        return found

    def fetch(self, file: RemoteFile, target: Path) -> None:
        """Copies an artifact; see `Source`."""
        if self._closed.is_set():
            raise SourceUnreadable(f"{file.path}: closed, as the service ends")
        prefix = "/".join(file.path.split("/")[:2]) + "/"
        place = f"{self._places[prefix]}/{file.path.removeprefix(prefix)}"
        with _failures(file.path), tempfile.TemporaryDirectory(dir=target.parent) as folder:
            fetched = Path(
                self._mlflow.artifacts.download_artifacts(artifact_uri=place, dst_path=folder)
            )
            if fetched.stat().st_size != file.size_bytes:
                raise FileWithheld(f"{file.path}: its size is not the one announced")
            fetched.rename(target)

    def close(self) -> None:
        """Ends what is fetched with the present file, which MLflow fetches to its end."""
        self._closed.set()

    def _below(self, place: str, folder: str, depth: int) -> Iterator[tuple[str, int]]:
        address = f"{place}/{folder}" if folder else place
        for entry in self._mlflow.artifacts.list_artifacts(artifact_uri=address):
            name = f"{folder}/" * bool(folder) + Path(entry.path).name
            if not entry.is_dir:
                yield name, int(entry.file_size)
            elif depth < _MAX_DEPTH:
                yield from self._below(place, name, depth + 1)


def _version(client: Any, match: re.Match[str]) -> "ModelVersion":
    if match["alias"]:
        found = client.get_model_version_by_alias(match["name"], match["alias"])
    else:
        found = client.get_model_version(match["name"], match["version"])
    return cast("ModelVersion", found)


@contextmanager
def _failures(what: str) -> Iterator[None]:
    try:
        with warnings.catch_warnings():
            # MLflow's own use of its libraries, of which no user can change anything.
            warnings.simplefilter("ignore")
            yield
    except FileWithheld:
        raise
    except Exception as error:
        # MLflow's own, and whatever the client of the store behind it raises.
        first_line = str(error).partition("\n")[0][:300]
        raise SourceUnreadable(f"{what}: {first_line or type(error).__name__}") from error


def _mlflow() -> Any:
    try:
        return load_mlflow()
    except ImportError as error:
        raise ValueError(
            "models:/ needs MLflow: LOCK=serve-extras.txt make serve, or make up, installs it"
        ) from error
