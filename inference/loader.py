"""The way of a version into memory and out of it again; everything here waits, none on the loop."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inference import version_folder
from inference.catalogue import FoundModel, FoundVersion, scan, scan_model
from inference.errors import LoadFailed, ModelInvalid, SourceUnreadable
from inference.folder_files import check_size
from inference.mirror import Mirror
from inference.model import Model
from inference.trial import Trial
from inference.version_folder import LoadRules
from telemetry import logs

_log = logs.get_logger(__name__)


class Loader:
    """Looks at a repository folder, loads versions from it and frees them.

    Args:
        rules: how versions are loaded.
        trial: where they are loaded first; none: nowhere.
        mirror: brings the folder up to date with its source; none: the folder is the source.
    """

    def __init__(
        self, rules: LoadRules, trial: Trial | None = None, mirror: Mirror | None = None
    ) -> None:
        self._rules = rules
        self._trial = trial
        self._mirror = mirror

    @property
    def root(self) -> Path:
        """The repository folder."""
        return self._rules.root

    def scan(self) -> dict[str, FoundModel]:
        """Looks at every model, after bringing the folder up to date.

        Raises:
            SourceUnreadable: its source cannot be read now, and the folder is as it was; or it
                gives nothing of what it lists.
        """
        if self._mirror is not None:
            self._mirror.sync()
        found = scan(self.root)
        if self._mirror is not None and not found:
            _raise_if(self._mirror.withheld())
        return found

    def scan_folder(self) -> dict[str, FoundModel]:
        """Looks at every model as it stands on this machine."""
        return scan(self.root)

    def scan_model(self, name: str) -> FoundModel:
        """Looks at one model, after bringing the folder up to date.

        Raises:
            SourceUnreadable: its source cannot be read now, or does not give all of the model.
        """
        if self._mirror is not None:
            self._mirror.sync(anew=name)
            _raise_if(self._mirror.withheld(name))
        return scan_model(self.root, name)

    def memory_bytes(self, found: FoundVersion) -> int:
        """Memory that a version will hold.

        Raises:
            ModelInvalid: the folder cannot be loaded, as its listing shows.
        """
        check_size(found.listing, self._rules.max_bytes)
        return version_folder.memory_bytes(found.listing)

    def is_tried(self, found: FoundVersion) -> bool:
        """Whether a version needs no trial: this content of it had one, or there is none."""
        return self._trial is None or self._trial.has_passed(found.folder, found.listing)

    def try_out(self, found: FoundVersion) -> None:
        """Loads a version where it can harm nobody; others wait for their turn.

        Args:
            found: the version.

        Raises:
            ModelInvalid: it cannot be served.
            LoadFailed: it could not be tried now.
        """
        if self._trial is not None:
            with _refusals(found):
                self._trial.check(found.folder, found.listing)

    def load(self, found: FoundVersion) -> Model:
        """Loads a version.

        Args:
            found: the version.

        Raises:
            ModelInvalid: it cannot be served.
            LoadFailed: it could not be loaded now.
        """
        with _refusals(found):
            model = version_folder.load(found.folder, self._rules)
        labels = model.decoder.entity_types
        _log.info("model_loaded", model=model.name, version=model.version, labels=labels)
        return model

    def free(self, models: list[Model | None]) -> None:
        """Frees models: empties the list, and gives the memory back to the system."""
        names = [f"{model.name}/{model.version}" for model in models if model]
        models.clear()
        _trim()
        _log.info("models_freed", models=names)

    def stop_fetching(self) -> None:
        """Ends what is being fetched, for good: a process ends when its threads have ended."""
        if self._mirror is not None:
            self._mirror.close()

    def close(self) -> None:
        """Ends the trial process."""
        if self._trial is not None:
            self._trial.close()


def _raise_if(error: SourceUnreadable | None) -> None:
    if error is not None:
        raise error


@contextmanager
def _refusals(found: FoundVersion) -> Iterator[None]:
    name, version = found.folder.parent.name, found.folder.name
    try:
        yield
    except ModelInvalid as error:
        _log.error("model_refused", model=name, version=version, detail=str(error))
        raise
    except OSError as error:
        failed = LoadFailed.refused(error, found.folder)
        _log.error("model_refused", model=name, version=version, detail=str(failed))
        raise failed from error


def _trim() -> None:
    # glibc keeps what was freed between pieces that are in use; other C libraries need no call.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
