"""Where the models of a service come from and how they are loaded, from its settings."""

from dataclasses import dataclass
from pathlib import Path

from inference.errors import ModelInvalid
from inference.loader import Loader
from inference.mirror import Mirror
from inference.repository import Policy, Repository
from inference.settings import Settings
from inference.sources.aws_signature import Credentials
from inference.sources.mlflow_registry import MlflowSource
from inference.sources.s3 import S3Source, Store
from inference.sources.source import Source
from inference.trial import Trial
from inference.version_folder import LoadRules

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ModelSupply:
    """What opens a repository."""

    loader: Loader
    default_model: str
    policy: Policy

    def open(self) -> Repository:
        """Opens the repository; waits for its source and its disk.

        Raises:
            ModelInvalid: it holds no model that can be served, or its source cannot be read and
                nothing was fetched before.
        """
        return Repository.open(self.loader, self.default_model, self.policy)


def supply_of(settings: Settings, threads: int) -> ModelSupply:
    """Reads the settings.

    Args:
        settings: of the service.
        threads: cores that one run uses.

    Raises:
        ModelInvalid: the source is named in a way that cannot be used, or there can be no folder
            for what comes from it.
    """
    max_bytes = settings.max_version_mib * _MIB
    rules = LoadRules(settings.models_dir, settings.window_tokens, threads, max_bytes)
    mirror = None
    if settings.model_source:
        try:
            source = _source(settings)
        except ValueError as error:
            raise ModelInvalid(f"INFERENCE_MODEL_SOURCE: {error}") from error
        mirror = Mirror(source, _made(settings.models_dir), max_bytes)
    policy = Policy(settings.model_memory_mib * _MIB, settings.keep_versions)
    return ModelSupply(Loader(rules, Trial(rules), mirror), settings.default_model, policy)


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ModelInvalid(
            f"INFERENCE_MODELS_DIR: {folder} must be a folder, or a place for one"
            f" ({error.strerror})"
        ) from error
    return folder


def _source(settings: Settings) -> Source:
    address = settings.model_source
    if address.startswith("models:/"):
        return MlflowSource(address)
    credentials = Credentials(
        settings.aws_access_key_id,
        settings.aws_secret_access_key.get_secret_value(),
        settings.aws_session_token.get_secret_value(),
    )
    store = Store(credentials, settings.aws_region, settings.aws_endpoint_url.rstrip("/"))
    return S3Source(address, store)
