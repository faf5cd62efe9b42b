"""Tracking: runs, their figures and their models in an MLflow store.

The store is SQLite beside the runs, or the server that MLFLOW_TRACKING_URI names; MLflow reads that
itself. Nothing is sent anywhere else.
"""

import logging
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from inference.sources.quiet_mlflow import load_mlflow
from training.run import TrainingInterrupted

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from training.fine_tune import EpochReport  # torch takes seconds to import

_EXPERIMENT = "ner"
_DATABASE_FILE = "mlflow.db"
_ARTIFACTS_FOLDER = "mlartifacts"
# Of the model among a run's artifacts.
_MODEL = "model"
# In the name of a setting or a figure. MLflow takes "/", as in a path: "f1.news/" is none to it.
_REFUSED = re.compile(r"[^\w.\- ]")

_log = logging.getLogger(__name__)


class TrackingFailed(Exception):
    """The store cannot be used, or lacks what was asked for; the message says what to change."""


class TrackedRun:
    """A run in the store; at its end it is finished, failed or, after Ctrl-C, killed.

    Args:
        client: of the store.
        run_id: of the run.
    """

    def __init__(self, client: "MlflowClient", run_id: str) -> None:
        self._client = client
        self.run_id = run_id

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        stopped = isinstance(error, TrainingInterrupted | KeyboardInterrupt)
        status = "FINISHED" if error is None else "KILLED" if stopped else "FAILED"
        try:
            with _failures():
                self._client.set_terminated(self.run_id, status)
        except TrackingFailed as failure:
            if error is None:
                raise
            # What ended the run is what its user must hear of.
            _log.warning("run %s does not say that it has ended: %s", self.run_id, failure)

    def log_settings(self, settings: Mapping[str, str]) -> None:
        """Writes settings.

        Args:
            settings: by name.

        Raises:
            TrackingFailed: the store does not answer.
        """
        with _failures():
            for name, setting in settings.items():
                self._client.log_param(self.run_id, _key(name), setting)

    def log_epoch(self, report: "EpochReport") -> None:
        """Writes the figures of an epoch.

        Args:
            report: what the epoch came to.

        Raises:
            TrackingFailed: the store does not answer.
        """
        self.log_figures(report.metrics, report.step)

    def log_figures(self, figures: Mapping[str, float], step: int) -> None:
        """Writes figures.

        Args:
            figures: by name.
            step: on the axis that they are plotted over.

        Raises:
            TrackingFailed: the store does not answer.
        """
        with _failures():
            for name, figure in figures.items():
                self._client.log_metric(self.run_id, _key(name), figure, step=step)

    def log_files(self, files: Sequence[Path], folder: str) -> None:
        """Keeps files.

        Args:
            files: of any kind.
            folder: their place among the run's artifacts.

        Raises:
            TrackingFailed: the store does not answer.
        """
        with _failures():
            for file in files:
                self._client.log_artifact(self.run_id, str(file), folder)

    def log_model(self, files: Sequence[Path], name: str, alias: str) -> None:
        """Keeps a model, and registers it.

        Args:
            files: of the model.
            name: of the registered model; made if it is new.
            alias: points to this model from now on.

        Raises:
            TrackingFailed: the store does not answer, or refuses the alias.
        """
        from mlflow.exceptions import MlflowException

        with _failures():
            for file in files:
                self._client.log_artifact(self.run_id, str(file), _MODEL)
            try:
                self._client.create_registered_model(name)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            source = f"{self._client.get_run(self.run_id).info.artifact_uri}/{_MODEL}"
            version = self._client.create_model_version(name, source, self.run_id)
            self._client.set_registered_model_alias(name, alias, str(version.version))


class TrackingStore:
    """An MLflow store; made by `open_store`.

    Args:
        client: of the store.
        artifacts: folder of the artifacts; None: the server decides.
    """

    def __init__(self, client: "MlflowClient", artifacts: Path | None) -> None:
        self._client = client
        self._artifacts = artifacts

    def begin(self, name: str, settings: Mapping[str, str], tags: Mapping[str, str]) -> TrackedRun:
        """Begins a run; where its settings cannot be written, it has ended.

        Args:
            name: a person's word for it.
            settings: what it learns with and from.
            tags: what else to know.

        Raises:
            TrackingFailed: the store does not answer.
        """
        with _failures():
            run = self._client.create_run(self._experiment(), run_name=name, tags=dict(tags))
        tracked = TrackedRun(self._client, run.info.run_id)
        with ExitStack() as unless_begun:
            unless_begun.push(tracked)
            tracked.log_settings(settings)
            unless_begun.pop_all()
        return tracked

    def go_on(self, run_id: str) -> TrackedRun:
        """Goes on with a run that was stopped.

        Args:
            run_id: of the run.

        Raises:
            TrackingFailed: the store lacks it.
        """
        with _failures():
            self._client.update_run(run_id, "RUNNING")
            return TrackedRun(self._client, run_id)

    def fetch(self, run_id: str, folder: Path) -> Path:
        """Copies the model of a run out of the store.

        Args:
            run_id: of the run.
            folder: gets a folder with the model.

        Returns:
            That folder.

        Raises:
            TrackingFailed: there is no such run, or it has no model.
        """
        with _failures():
            return Path(self._client.download_artifacts(run_id, _MODEL, str(folder)))

    def run_of(self, name: str, alias: str) -> str:
        """The run that an alias points to.

        Args:
            name: of the registered model.
            alias: of one of its versions.

        Raises:
            TrackingFailed: there is none.
        """
        with _failures():
            run_id = self._client.get_model_version_by_alias(name, alias).run_id
        if not run_id:
            raise TrackingFailed(f"{name}@{alias} was registered without a run")
        return run_id

    def _experiment(self) -> str:
        experiment = self._client.get_experiment_by_name(_EXPERIMENT)
        if experiment is not None:
            return str(experiment.experiment_id)
        place = self._artifacts.as_uri() if self._artifacts else None
        return self._client.create_experiment(_EXPERIMENT, artifact_location=place)


def open_store(root: Path, *, server: bool = True) -> TrackingStore:
    """Opens the server's store where MLFLOW_TRACKING_URI names one, else one in a folder.

    Args:
        root: the folder; made if it is missing.
        server: else the folder's, whatever the environment says.

    Raises:
        TrackingFailed: MLflow is not installed, or the store cannot be opened.
    """
    try:
        mlflow = load_mlflow()
        import sqlalchemy  # noqa: F401 - the store needs it; its absence is told here
    except ImportError as error:
        raise TrackingFailed(
            f"{error.name} is not installed: make train installs it; --no-tracking does without"
        ) from error
    with _failures():
        if server and mlflow.is_tracking_uri_set():
            return TrackingStore(mlflow.MlflowClient(), None)
        root = root.absolute()
        root.mkdir(parents=True, exist_ok=True)
        address = f"sqlite:///{root / _DATABASE_FILE}"
        return TrackingStore(mlflow.MlflowClient(address, address), root / _ARTIFACTS_FOLDER)


def check_alias(alias: str) -> None:
    """Refuses what MLflow would, hours later; names of models were checked with the options.

    Args:
        alias: of a version of a registered model.

    Raises:
        TrackingFailed: no alias can be called so.
    """
    # MLflow's own, which it has made public no more than annotated.
    from mlflow.utils import validation

    with _failures():
        validation._validate_model_alias_name(alias)  # type: ignore[no-untyped-call]
        validation._validate_model_alias_name_reserved(alias)  # type: ignore[no-untyped-call]


def _key(name: str) -> str:
    """A name that MLflow takes: a folder, as "news+web", may be called as it likes."""
    return _REFUSED.sub(lambda sign: f"_{ord(sign[0]):x}_", name)


@contextmanager
def _failures() -> Iterator[None]:
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with warnings.catch_warnings():
            # MLflow's own use of SQLAlchemy, of which no user can change anything.
            warnings.simplefilter("ignore")
            yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        first_line = str(error).partition("\n")[0]
        raise TrackingFailed(f"tracking: {first_line} (--no-tracking does without)") from error
