"""A mirror: a folder of this machine that follows a source of models.

Each version is fetched beside the one that stands there, compared with its manifest, and put in its
place by a rename. What a source lists incompletely is left for the next time; what a source has
dropped is dropped; a source that lists nothing at all drops nothing.
"""

import json
import math
import shutil
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass, field, replace
from pathlib import Path

from inference import manifest, routing
from inference.errors import FileWithheld, ModelInvalid, SourceUnreadable
from inference.folder_files import list_files
from inference.sources.source import RemoteFile, Source, is_safe
from telemetry import logs

_log = logs.get_logger(__name__)

# What was fetched, one file a version; no name of a model begins with a dot.
_STAMPS = ".fetched"
# What the source withheld is asked for again after this long.
_RETRY_S = 30.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the source holds, sorted out."""

    versions: dict[str, tuple[RemoteFile, ...]] = field(default_factory=dict)  # "<name>/<version>"
    routings: dict[str, RemoteFile] = field(default_factory=dict)  # by model
    refused: dict[str, str] = field(default_factory=dict)  # "<name>/<version>" -> why


def sort_out(files: Iterable[RemoteFile], max_bytes: int) -> Wanted:
    """Sorts a listing into versions; decides what may be fetched.

    Args:
        files: of the source.
        max_bytes: most bytes of a version.
    """
    versions: dict[str, list[RemoteFile]] = {}
    wanted = Wanted()
    for file in sorted(files, key=lambda file: file.path):
        parts = file.path.split("/")
        place = "/".join(parts[:2])
        if not is_safe(file.path):
            if is_safe(place):
                wanted.refused[place] = f"{parts[-1][:64]!r}: no name of a file of a model"
        elif len(parts) > 2:
            versions.setdefault(place, []).append(file)
        elif parts[1] == routing.FILE_NAME:
            wanted.routings[parts[0]] = file
    for place, found in versions.items():
        total = sum(file.size_bytes for file in found)
        if total > max_bytes:
            wanted.refused[place] = (
                f"{total} bytes, more than {max_bytes}: INFERENCE_MAX_VERSION_MIB allows more"
            )
        elif place not in wanted.refused:
            wanted.versions[place] = tuple(found)
    return wanted


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a version, or a routing, was not taken over."""

    files: str  # what the source listed, as in a stamp; empty: they were not fetched
    detail: str
    until_s: float = math.inf  # of the mirror's clock; unchanged files are not fetched before

    @property
    def is_withheld(self) -> bool:
        """Whether the source did not give it, which may pass."""
        return self.until_s < math.inf


class Mirror:
    """Keeps a folder like its source; safe for threads, of which one syncs at a time.

    Args:
        source: of the models.
        folder: gets `<name>/<version>/`; made if it is missing.
        max_bytes: most bytes of a version.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        source: Source,
        folder: Path,
        max_bytes: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._source = source
        self._folder = folder
        self._max_bytes = max_bytes
        self._refused: dict[str, Refusal] = {}  # logged once, and not fetched again unchanged
        self._one = threading.Lock()

    def sync(self, anew: str = "") -> None:
        """Fetches what is new or has changed, and drops what has gone.

        What the source lists and does not give keeps nothing else waiting, and is asked for again
        after half a minute; until then its model loses nothing.

        Args:
            anew: a model of which it is asked for again now.

        Raises:
            SourceUnreadable: the source does not answer, lists nothing or was closed; what was
                fetched before stays.
        """
        with self._one:
            for place, refusal in self._refused.items():
                if refusal.is_withheld and _model_of(place) == anew:
                    self._refused[place] = replace(refusal, until_s=-math.inf)
            self._sync(sort_out(self._source.files(), self._max_bytes))

    def withheld(self, name: str = "") -> SourceUnreadable | None:
        """Says what the source did not give.

        Args:
            name: of the model that it belongs to; empty: of any.
        """
        for place, refusal in list(self._refused.items()):  # another thread may sync
            if refusal.is_withheld and name in ("", _model_of(place)):
                return SourceUnreadable(refusal.detail)
        return None

    def close(self) -> None:
        """Ends a sync that is under way, and every later one that must fetch anything."""
        self._source.close()

    def _sync(self, wanted: Wanted) -> None:
        listed = (
            wanted.refused
            | wanted.versions
            | {_routing_of(n): f for n, f in wanted.routings.items()}
        )
        for place in self._refused.keys() - listed.keys():
            del self._refused[place]
        for place, detail in wanted.refused.items():
            self._refuse(place, Refusal("", detail))
        fetched = self._fetched()
        if fetched and not wanted.versions:
            raise SourceUnreadable("the source lists no model: what was fetched before stays")
        for place, files in wanted.versions.items():
            if self._is_new(place, _stamp_of(files)):
                self._fetch_version(place, files)
        for name, file in wanted.routings.items():
            self._fetch_routing(name, file)
        # What was not taken over may be to replace what has gone.
        waiting = {_model_of(place) for place in self._refused}
        for place in fetched - wanted.versions.keys() - wanted.refused.keys():
            if _model_of(place) not in waiting:
                self._drop(place)
        for name in {path.name for path in self._models()} - wanted.routings.keys():
            self._drop_routing(name)

    def _is_new(self, place: str, stamp: str) -> bool:
        if self._stamp(place) == stamp and (self._folder / place).exists():
            self._refused.pop(place, None)  # what was refused has been taken back
            return False
        refusal = self._refused.get(place)
        return refusal is None or refusal.files != stamp or self._clock() >= refusal.until_s

    def _fetch_version(self, place: str, files: tuple[RemoteFile, ...]) -> None:
        target = self._folder / place
        building = target.with_name(f".{target.name}.fetching")
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(parents=True)
        try:
            # The manifest first: an upload that has not ended is seen before the rest is fetched.
            for file in sorted(files, key=lambda file: not file.path.endswith(manifest.FILE_NAME)):
                inside = building / file.path.removeprefix(f"{place}/")
                inside.parent.mkdir(exist_ok=True)
                self._source.fetch(file, inside)
                if inside.name == manifest.FILE_NAME and inside.parent == building:
                    _check_complete(inside, place, files)
            self._check_hashes(building, target)
        except ModelInvalid as error:
            self._refuse(place, Refusal(_stamp_of(files), str(error)))
            shutil.rmtree(building)
            return
        except FileWithheld as error:
            self._put_off(place, files, error)
            shutil.rmtree(building)
            return
        self._refused.pop(place, None)
        _replace(building, target)
        self._write_stamp(place, files)
        _log.info("model_fetched", place=place, bytes=sum(file.size_bytes for file in files))

    def _check_hashes(self, building: Path, target: Path) -> None:
        try:
            manifest.verify(building, list_files(building, self._folder))
        except ModelInvalid:
            # Where nothing stands yet, the refusal is better told by who lists the models.
            if target.exists():
                raise

    def _fetch_routing(self, name: str, file: RemoteFile) -> None:
        place = _routing_of(name)
        if not self._is_new(place, _stamp_of([file])):
            return
        target = self._folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        building = target.with_name(f".{routing.FILE_NAME}.fetching")
        try:
            self._source.fetch(file, building)
        except FileWithheld as error:
            self._put_off(place, [file], error)
            return
        self._refused.pop(place, None)
        building.replace(target)
        self._write_stamp(place, [file])

    def _drop(self, place: str) -> None:
        target = self._folder / place
        leaving = target.with_name(f".{target.name}.leaving")
        if target.is_dir():
            shutil.rmtree(leaving, ignore_errors=True)
            target.rename(leaving)
            shutil.rmtree(leaving)
        self._stamp_file(place).unlink(missing_ok=True)
        _log.info("model_dropped", place=place)

    def _drop_routing(self, name: str) -> None:
        place = _routing_of(name)
        if self._stamp_file(place).exists():
            (self._folder / place).unlink(missing_ok=True)
            self._stamp_file(place).unlink()

    def _models(self) -> list[Path]:
        stamps = self._folder / _STAMPS
        return list(stamps.iterdir()) if stamps.is_dir() else []

    def _fetched(self) -> set[str]:
        """The versions that this mirror has fetched: others in the folder are left alone."""
        return {
            f"{model.name}/{path.stem}"
            for model in self._models()
            for path in model.iterdir()
            if path.name != f"{routing.FILE_NAME}.json"
        }

    def _stamp_file(self, place: str) -> Path:
        return self._folder / _STAMPS / f"{place}.json"

    def _stamp(self, place: str) -> str:
        path = self._stamp_file(place)
        return path.read_text("utf-8") if path.is_file() else ""

    def _write_stamp(self, place: str, files: Iterable[RemoteFile]) -> None:
        path = self._stamp_file(place)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_stamp_of(files), "utf-8")

    def _put_off(self, place: str, files: Iterable[RemoteFile], error: FileWithheld) -> None:
        self._refuse(place, Refusal(_stamp_of(files), str(error), self._clock() + _RETRY_S))

    def _refuse(self, place: str, refusal: Refusal) -> None:
        before = self._refused.get(place)
        if before is None or before.detail != refusal.detail:
            _log.error("model_not_fetched", place=place, detail=refusal.detail)
        self._refused[place] = refusal


def _model_of(place: str) -> str:
    return place.partition("/")[0]


def _routing_of(name: str) -> str:
    return f"{name}/{routing.FILE_NAME}"


def _check_complete(path: Path, place: str, files: tuple[RemoteFile, ...]) -> None:
    present = {file.path.removeprefix(f"{place}/") for file in files}
    if missing := sorted(manifest.read_hashes(path).keys() - present):
        raise ModelInvalid(f"{missing[0]}: named in {manifest.FILE_NAME} but not there yet")


def _stamp_of(files: Iterable[RemoteFile]) -> str:
    return json.dumps([astuple(file) for file in files])


def _replace(building: Path, target: Path) -> None:
    leaving = target.with_name(f".{target.name}.leaving")
    shutil.rmtree(leaving, ignore_errors=True)
    if target.exists():
        target.rename(leaving)
    building.rename(target)
    shutil.rmtree(leaving, ignore_errors=True)
