"""The model repository: a folder of models, each a folder of versions.

    models/<name>/<version>/  manifest.json  config.json  tokenizer.json  model.onnx

A folder that Hugging Face's Optimum exports is served unchanged; there the manifest is missing.
With a manifest every file is compared with its hash before anything is loaded. Nothing is ever
unpickled. A version that cannot be loaded is listed with the reason and hides no other.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.decoding import Decoder
from inference.entry import Runnable
from inference.errors import ModelInvalid, ModelNotFound, Reason
from inference.runtime import Session
from inference.tokenization import Tokenizer
from telemetry import logs

_log = logs.get_logger(__name__)

# One path component, so that no name leaves the repository.
NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MANIFEST = "manifest.json"
_SCHEMA_VERSION = 1
# The second is what Optimum calls a quantized export.
_MODEL_FILES = ("model.onnx", "model_quantized.onnx")
_SPECIAL_POSITIONS = {"roberta": 2, "xlm-roberta": 2, "camembert": 2}  # kept for padding


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """One version of a model, ready to run."""

    name: str
    version: str
    tokenizer: Tokenizer
    session: Runnable
    decoder: Decoder


@dataclass(frozen=True, slots=True)
class VersionState:
    """One version as a caller sees it: ready, or failed for a reason."""

    name: str
    version: str
    live: bool
    model: Model | None
    detail: str = ""


class Repository:
    """The models that this process serves.

    Args:
        versions: every version found, failed ones included.
        default_model: answers calls that name no model.
    """

    def __init__(self, versions: list[VersionState], default_model: str) -> None:
        self.versions = sorted(versions, key=lambda v: (v.name, _version_order(v.version)))
        self.default_model = default_model
        self._models = {(v.name, v.version): v.model for v in versions if v.model}
        self._live = {v.name: v.model for v in versions if v.model and v.live}

    @classmethod
    def load(
        cls, folder: Path, default_model: str, window_tokens: int, threads: int
    ) -> "Repository":
        """Loads every version of every model in a folder.

        Args:
            folder: the repository.
            default_model: answers calls that name no model; empty: the first by name.
            window_tokens: longest window of a long text.
            threads: cores that one model run uses.

        Raises:
            ModelInvalid: the folder holds no model that can be served, or not the default.
        """
        if not folder.is_dir():
            raise ModelInvalid(f"{folder}: no such folder; INFERENCE_MODELS_DIR names it")
        loaded = [_load_or_fail(path, window_tokens, threads) for path in _version_folders(folder)]
        live = {state.name: state.version for state in loaded if state.model}
        if not live:
            raise ModelInvalid(_nothing_served(folder, loaded))
        if default_model and default_model not in live:
            raise ModelInvalid(
                f"{default_model}: the default model (INFERENCE_DEFAULT_MODEL) is not served;"
                f" served are {', '.join(sorted(live))}"
            )
        states = [
            VersionState(s.name, s.version, live.get(s.name) == s.version, s.model, s.detail)
            for s in loaded
        ]
        return cls(states, default_model or min(live))

    def get(self, name: str, version: str) -> Model:
        """Finds a model.

        Args:
            name: empty for the default model.
            version: empty for the live version.

        Raises:
            ModelNotFound: there is none.
        """
        name = name or self.default_model
        live = self._live.get(name)
        if live is None:
            raise ModelNotFound(
                Reason.MODEL_NOT_FOUND,
                f"no such model; served are {', '.join(sorted(self._live))}",
            )
        model = self._models.get((name, version)) if version else live
        if model is None:
            served = [v.version for v in self.versions if v.name == name and v.model]
            raise ModelNotFound(
                Reason.VERSION_NOT_FOUND,
                f"no such version of {name}; served are {', '.join(served)}",
            )
        return model

    def live_models(self) -> list[Model]:
        """The live version of every model."""
        return list(self._live.values())


def _version_folders(folder: Path) -> Iterator[Path]:
    """The version folders of a repository, lowest version first."""
    for name in sorted(path for path in folder.iterdir() if _is_named_folder(path)):
        versions = [path for path in name.iterdir() if _is_named_folder(path)]
        yield from sorted(versions, key=lambda path: _version_order(path.name))


def _is_named_folder(path: Path) -> bool:
    return path.is_dir() and NAME_PATTERN.fullmatch(path.name) is not None


def _version_order(version: str) -> tuple[bool, int, str]:
    """Numbers in their order, and above all other names: the highest is live."""
    number = version.isascii() and version.isdigit()
    return number, int(version) if number else 0, version


def _load_or_fail(folder: Path, window_tokens: int, threads: int) -> VersionState:
    name, version = folder.parent.name, folder.name
    try:
        model = _load(folder, window_tokens, threads)
    except ModelInvalid as error:
        _log.error("model_refused", model=name, version=version, detail=str(error))
        return VersionState(name, version, live=False, model=None, detail=str(error))
    _log.info("model_loaded", model=name, version=version, labels=model.decoder.entity_types)
    return VersionState(name, version, live=False, model=model)


def _load(folder: Path, window_tokens: int, threads: int) -> Model:
    _verify(folder)
    config = _read_json(folder / "config.json")
    labels = _labels(config)
    window_tokens = min(window_tokens, _position_limit(config))
    tokenizer = Tokenizer.load(folder / "tokenizer.json", window_tokens)
    onnx = next((folder / f for f in _MODEL_FILES if (folder / f).is_file()), None)
    if onnx is None:
        raise ModelInvalid(f"no {' or '.join(_MODEL_FILES)}")
    session = Session.load(onnx, threads, len(labels))
    model = Model(folder.parent.name, folder.name, tokenizer, session, Decoder(labels))
    _warm_up(model)
    return model


def _verify(folder: Path) -> None:
    """Compares every file with the manifest, if there is one."""
    if not (folder / _MANIFEST).exists():
        return
    manifest = _read_json(folder / _MANIFEST)
    if manifest.get("schema_version") != _SCHEMA_VERSION:
        raise ModelInvalid(f"{_MANIFEST}: schema_version must be {_SCHEMA_VERSION}")
    files = manifest.get("files")
    if not isinstance(files, dict) or not files:
        raise ModelInvalid(f"{_MANIFEST}: files must name at least one file")
    present = {path.name for path in folder.iterdir()} - {_MANIFEST}
    if unknown := sorted(present - files.keys()):
        raise ModelInvalid(f"{unknown[0]}: not in {_MANIFEST}")
    for name, entry in files.items():
        if name not in present:
            raise ModelInvalid(f"{name}: named in {_MANIFEST} but missing")
        expected = entry.get("sha256") if isinstance(entry, dict) else None
        with (folder / name).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != expected:
            raise ModelInvalid(f"{name}: its sha256 is {found}, {_MANIFEST} says {expected}")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ModelInvalid(f"{path.name}: {error.strerror}") from error
    except ValueError as error:
        raise ModelInvalid(f"{path.name}: not JSON: {error}") from error
    if not isinstance(content, dict):
        raise ModelInvalid(f"{path.name}: must hold a JSON object")
    return content


def _labels(config: dict[str, Any]) -> list[str]:
    id2label = config.get("id2label")
    if not isinstance(id2label, dict):
        raise ModelInvalid("config.json: id2label is missing")
    labels = [id2label.get(str(i)) for i in range(len(id2label))]
    if not all(isinstance(label, str) for label in labels):
        raise ModelInvalid("config.json: id2label must map 0, 1, … to labels")
    return [str(label) for label in labels]


def _position_limit(config: dict[str, Any]) -> int:
    limit = config.get("max_position_embeddings")
    if not isinstance(limit, int) or limit < 1:
        raise ModelInvalid("config.json: max_position_embeddings is missing")
    return limit - _SPECIAL_POSITIONS.get(str(config.get("model_type")), 0)


def _warm_up(model: Model) -> None:
    """Runs the model once, so that a file that loads but cannot run is refused now."""
    window = model.tokenizer.tokenize("Warm up.").windows[0]
    try:
        model.session.run(window.ids[None, :], (window.ids[None, :] * 0) + 1)
    except Exception as error:  # onnxruntime's errors share no base but Exception
        raise ModelInvalid(f"the model cannot be run: {error}") from error


def _nothing_served(folder: Path, loaded: list[VersionState]) -> str:
    if not loaded:
        return f"{folder}: no model; expected <name>/<version>/model.onnx"
    failures = "; ".join(f"{s.name}/{s.version}: {s.detail}" for s in loaded)
    return f"{folder}: no model can be served: {failures}"
