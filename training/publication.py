"""Publication: a measured model as a version folder of the model repository."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from training.checkpoint import CONFIG_FILE, TOKENIZER_FILE, TrainingRecord
from training.evaluation import Quality
from training.export import OPSET
from training.model_card import model_card
from training.quantization import WEIGHT_LIMIT

MODEL_FILE = "model.onnx"
_MANIFEST = "manifest.json"
_CARD = "MODEL_CARD.md"
_SCHEMA_VERSION = 1
# Two of the sets are share-alike; a model is treated as an adaptation of what it learned from.
LICENCE = "CC-BY-SA-4.0"
# The set that decides, because it is the largest and the cleanest.
GATE_SET = "uner_en_ewt"
LOWEST_F1 = 75.0
LARGEST_LOSS = 0.5  # of F1, from float32 to int8


class PublicationRefused(Exception):
    """The model is not good enough, or its version exists; the message says which."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that is ready to be published."""

    name: str
    version: str
    checkpoint: Path  # folder with the tokenizer and the configuration
    model: Path  # the int8 file
    record: TrainingRecord
    quality: Mapping[str, Quality]  # of the int8 file, by set
    float32_quality: Mapping[str, Quality]
    logit_difference: float  # largest, float32 file to checkpoint


def check_gate(quality: Mapping[str, Quality], float32_quality: Mapping[str, Quality]) -> None:
    """Refuses a model that finds too little, or that lost too much by quantization.

    Args:
        quality: of the int8 file, by set.
        float32_quality: of the float32 file.

    Raises:
        PublicationRefused: it is below LOWEST_F1, or more than LARGEST_LOSS below float32.
    """
    f1, float32_f1 = quality[GATE_SET].f1, float32_quality[GATE_SET].f1
    if f1 < LOWEST_F1:
        raise PublicationRefused(f"F1 {f1:.2f} on {GATE_SET} is below {LOWEST_F1}")
    if float32_f1 - f1 > LARGEST_LOSS:
        raise PublicationRefused(
            f"int8 lost {float32_f1 - f1:.2f} of F1 on {GATE_SET}, allowed {LARGEST_LOSS}"
        )


def next_version(models: Path, name: str) -> str:
    """The number after the highest that is published.

    Args:
        models: the model repository.
        name: the model's.
    """
    folder = models / name
    taken = [int(p.name) for p in folder.iterdir() if p.name.isdecimal()] if folder.is_dir() else []
    return str(max(taken, default=0) + 1)


def publish(candidate: Candidate, models: Path, *, replace: bool = False) -> Path:
    """Writes a version folder; it appears in one step, with every file in its manifest.

    Args:
        candidate: what to publish.
        models: the model repository.
        replace: overwrite a version that exists.

    Returns:
        The folder.

    Raises:
        PublicationRefused: the gate is not passed, or the version exists.
    """
    check_gate(candidate.quality, candidate.float32_quality)
    folder = models / candidate.name / candidate.version
    if folder.exists() and not replace:
        raise PublicationRefused(f"{folder} exists: give --replace, or another --version")
    # A name that no service takes for a version, so that half a folder is never loaded.
    building = folder.with_name(f".{candidate.version}.building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    shutil.copyfile(candidate.model, building / MODEL_FILE)
    for file in (TOKENIZER_FILE, CONFIG_FILE):
        shutil.copyfile(candidate.checkpoint / file, building / file)
    card = model_card(
        candidate.name,
        candidate.version,
        candidate.record,
        candidate.quality,
        candidate.float32_quality,
    )
    (building / _CARD).write_text(card, "utf-8")
    manifest = json.dumps(_manifest(candidate, building), indent=2, ensure_ascii=False) + "\n"
    (building / _MANIFEST).write_text(manifest, "utf-8")
    if folder.exists():
        shutil.rmtree(folder)
    building.rename(folder)
    return folder


def _manifest(candidate: Candidate, folder: Path) -> dict[str, Any]:
    record = candidate.record
    return {
        "schema_version": _SCHEMA_VERSION,
        "name": candidate.name,
        "version": candidate.version,
        "licence": LICENCE,
        "files": {path.name: _fingerprint(path) for path in sorted(folder.iterdir())},
        "source": {
            "checkpoint": record.encoder,
            "sha256": record.encoder_sha256,
            "licence": record.encoder_licence,
        },
        "data": [asdict(entry) for entry in record.data],
        "training": {
            "commit": record.commit,
            "command": record.command,
            "seed": record.seed,
            "epochs": record.epochs,
            "learning_rate": record.learning_rate,
            "batch_size": record.batch_size,
            "precision": record.precision,
            "steps": record.steps,
            "duration_s": record.duration_s,
        },
        "opset": OPSET,
        "largest_logit_difference": candidate.logit_difference,
        "quantization": {
            "weights": f"int8 in [-{WEIGHT_LIMIT}, {WEIGHT_LIMIT}], a scale for each column",
            "activations": "uint8, a scale for each token, found at run time",
            "word_vectors": "int8, a scale for each row",
        },
        "quality": {name: _rounded(measured) for name, measured in candidate.quality.items()},
        "fp32_quality": {
            name: _rounded(measured) for name, measured in candidate.float32_quality.items()
        },
    }


def _fingerprint(path: Path) -> dict[str, str | int]:
    content = path.read_bytes()
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def _rounded(measured: Quality) -> dict[str, float]:
    return {key: round(value, 2) for key, value in asdict(measured).items()}
