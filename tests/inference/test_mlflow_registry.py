"""Models of an MLflow registry, in a store of its own on this machine."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from inference.errors import SourceUnreadable
from inference.mirror import Mirror
from inference.sources.mlflow_registry import MlflowSource
from inference.version_folder import LoadRules, load
from tests.live_models import write_variant
from tests.tiny_model import write_manifest

if TYPE_CHECKING:
    from mlflow import MlflowClient

pytestmark = [pytest.mark.timeout(120), pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "MlflowClient":
    """A client of a new store, which MLFLOW_TRACKING_URI names."""
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    import mlflow

    address = f"sqlite:///{tmp_path / 'mlflow.db'}"
    # By the environment alone, as of a service: MLflow's own setters outlive a test.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", address)
    return mlflow.MlflowClient(address, address)


def register(client: "MlflowClient", folder: Path, root: Path) -> None:
    """Registers a version folder as the next version of tiny."""
    found = client.get_experiment_by_name("ner")
    experiment = (
        found.experiment_id
        if found
        else client.create_experiment("ner", artifact_location=(root / "artifacts").as_uri())
    )
    run = client.create_run(experiment)
    client.log_artifacts(run.info.run_id, str(folder), "model")
    if not client.search_registered_models():
        client.create_registered_model("tiny")
    source = f"{run.info.artifact_uri}/model"
    client.create_model_version("tiny", source, run.info.run_id)


def test_the_version_of_an_alias_is_served_and_followed(
    client: "MlflowClient", tmp_path: Path
) -> None:
    for apple in ("ORG", "LOC"):
        folder = write_manifest(write_variant(tmp_path / apple / "1", apple)).parent
        register(client, folder, tmp_path)
    client.set_registered_model_alias("tiny", "champion", "1")
    mirror = Mirror(MlflowSource("models:/tiny@champion"), tmp_path / "cache", 10**9)
    mirror.sync()
    model = load(tmp_path / "cache" / "tiny" / "1", LoadRules(tmp_path / "cache"))
    assert (model.name, model.version) == ("tiny", "1")
    client.set_registered_model_alias("tiny", "champion", "2")
    mirror.sync()
    assert [p.name for p in (tmp_path / "cache" / "tiny").glob("[0-9]*")] == ["2"]


def test_a_version_may_be_named_by_its_number(client: "MlflowClient", tmp_path: Path) -> None:
    for _ in range(2):
        register(client, write_variant(tmp_path / str(_) / "1"), tmp_path)
    source = MlflowSource("models:/tiny/1, models:/tiny/2")
    assert {f.path for f in source.files()} >= {"tiny/1/model.onnx", "tiny/2/config.json"}


def test_an_alias_that_points_nowhere_is_told(client: "MlflowClient", tmp_path: Path) -> None:
    register(client, write_variant(tmp_path / "a" / "1"), tmp_path)
    with pytest.raises(SourceUnreadable, match="models:/tiny@champion: "):
        MlflowSource("models:/tiny@champion").files()


@pytest.mark.parametrize(
    "address", ["models:/", "models:/tiny", "models:/../x@y", "models:/tiny@", "runs:/1/model"]
)
def test_an_address_that_means_nothing_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="must be models:/name@alias"):
        MlflowSource(address)
