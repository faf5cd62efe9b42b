"""Publication: a measured model as a version folder of the model repository."""

import hashlib
import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from inference import model_config
from inference.json_file import read_object
from training import gate
from training.checkpoint import CONFIG_FILE, TOKENIZER_FILE, TrainingRecord
from training.evaluation_report import EvaluationReport, rounded
from training.export import OPSET
from training.model_card import model_card
from training.quantization import WEIGHT_LIMIT

MODEL_FILE = "model.onnx"
_MANIFEST = "manifest.json"
_CARD = "MODEL_CARD.md"
_SCHEMA_VERSION = 1
# A model is treated as an adaptation of what it learned from; BY-SA 3.0 allows the later version.
_SHARE_ALIKE_LICENCE = "CC-BY-SA-4.0"
# What may stand under it: it asks for no less than these do.
_FITS_SHARE_ALIKE = re.compile(
    r"CC0-1\.0|CC-BY-[1-4]\.[05]|CC-BY-SA-(2\.[05]|[34]\.0)|MIT|Apache-2\.0|BSD-[23]-Clause"
)
# The set that a model must be fit for, because it is the largest and the cleanest.
QUALITY_SET = "uner_en_ewt"
LOWEST_F1 = 75.0


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
    quality: EvaluationReport  # of the int8 file
    float32_quality: EvaluationReport
    logit_difference: float  # largest, float32 file to checkpoint


def check_quality(
    quality: EvaluationReport,
    float32_quality: EvaluationReport,
    largest_loss: float = gate.LARGEST_LOSS,
) -> None:
    """Refuses a model that finds too little, or that lost too much by quantization.

    Args:
        quality: of the int8 file.
        float32_quality: of the float32 file, on the same sets.
        largest_loss: of F1 that quantization may cost, as the gate takes it.

    Raises:
        PublicationRefused: F1 on QUALITY_SET, where that was measured, is below LOWEST_F1.
        GateRefused: quantization lost more than `largest_loss`.
    """
    measured = quality.sets.get(QUALITY_SET)
    if measured and measured.micro.f1 < LOWEST_F1:
        raise PublicationRefused(
            f"F1 {measured.micro.f1:.2f} on {QUALITY_SET} is below {LOWEST_F1}"
        )
    gate.check(float32_quality.mean, quality.mean, largest_loss)


def next_version(models: Path, name: str) -> str:
    """The number after the highest that is published.

    Args:
        models: the model repository.
        name: the model's.
    """
    folder = models / name
    taken = [int(p.name) for p in folder.iterdir() if p.name.isdecimal()] if folder.is_dir() else []
    return str(max(taken, default=0) + 1)


def check_vacant_version(models: Path, name: str, version: str | None, *, replace: bool) -> None:
    """Refuses to publish over a version.

    Args:
        models: the model repository.
        name: the model's.
        version: the model's; None: the next, which is not there.
        replace: overwrite a version that exists.

    Raises:
        PublicationRefused: the version exists.
    """
    if version and not replace and (models / name / version).exists():
        raise PublicationRefused(
            f"{models / name / version} exists: give --replace, or another --version"
        )


def publish(
    candidate: Candidate,
    models: Path,
    *,
    replace: bool = False,
    largest_loss: float = gate.LARGEST_LOSS,
) -> Path:
    """Writes a version folder; it appears in one step, with every file in its manifest.

    Args:
        candidate: what to publish.
        models: the model repository.
        replace: overwrite a version that exists.
        largest_loss: of F1 that quantization may cost.

    Returns:
        The folder.

    Raises:
        PublicationRefused: the model finds too little, or the version exists.
        GateRefused: quantization lost more than `largest_loss`.
    """
    check_quality(candidate.quality, candidate.float32_quality, largest_loss)
    check_vacant_version(models, candidate.name, candidate.version, replace=replace)
    folder = models / candidate.name / candidate.version
    # A name that no service takes for a version, so that half a folder is never loaded.
    building = folder.with_name(f".{candidate.version}.building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    shutil.copyfile(candidate.model, building / MODEL_FILE)
    for file in (TOKENIZER_FILE, CONFIG_FILE):
        shutil.copyfile(candidate.checkpoint / file, building / file)
    content = _manifest(candidate)
    (building / _CARD).write_text(model_card(content), "utf-8")
    content["files"] = {path.name: _fingerprint(path) for path in sorted(building.iterdir())}
    manifest = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    (building / _MANIFEST).write_text(manifest, "utf-8")
    # By renames alone: who looks between them sees no version, and never half of one.
    leaving = folder.with_name(f".{candidate.version}.leaving")
    shutil.rmtree(leaving, ignore_errors=True)
    if folder.exists():
        folder.rename(leaving)
    building.rename(folder)
    shutil.rmtree(leaving, ignore_errors=True)
    return folder


def _manifest(candidate: Candidate) -> dict[str, Any]:
    """The manifest but for its files."""
    record = candidate.record
    config = model_config.parse(read_object(candidate.checkpoint / CONFIG_FILE))
    return {
        "schema_version": _SCHEMA_VERSION,
        "name": candidate.name,
        "version": candidate.version,
        "licence": _licence([entry.licence for entry in record.data]),
        "source": {
            "checkpoint": record.encoder,
            "sha256": record.encoder_sha256,
            "licence": record.encoder_licence,
        },
        "data": [asdict(entry) for entry in record.data],
        "training": _training(record),
        "passage_tokens": config.passage_tokens,
        "opset": OPSET,
        "largest_logit_difference": candidate.logit_difference,
        "quantization": {
            "weights": f"int8 in [-{WEIGHT_LIMIT}, {WEIGHT_LIMIT}], a scale for each column",
            "activations": "uint8, a fixed scale for each product; after gelu one for each token",
            "word_vectors": "int8, a scale for each row",
        },
        **_quality(candidate),
    }


def _training(record: TrainingRecord) -> dict[str, Any]:
    """How the weights were learned."""
    return {
        "commit": record.commit,
        "run_id": record.run_id,
        "command": record.command,
        "seed": record.seed,
        "epochs": record.epochs,
        "learning_rate": record.learning_rate,
        "batch_size": record.batch_size,
        "average_decay": record.average_decay,
        "patience": record.patience,
        "teachers": list(record.teachers),
        "begun_with": record.begun_with,
        "begun_with_sha256": record.begun_with_sha256,
        "averaged": list(record.averaged),
        "temperature": record.temperature,
        "outside_shift": record.outside_shift,
        "min_score": record.min_score,
        "label_consistency": record.label_consistency,
        "restored_from": record.restored_from,
        "precision": record.precision,
        "device": record.device,
        "steps": record.steps,
        "duration_s": record.duration_s,
    }


def _quality(candidate: Candidate) -> dict[str, Any]:
    """What the int8 file and the float32 one were measured to have."""
    return {
        "mean_quality": rounded(asdict(candidate.quality.mean)),
        "quality": {
            name: rounded(
                {
                    **asdict(measured.micro),
                    "macro": asdict(measured.macro),
                    "types": {kind: asdict(q) for kind, q in measured.types.items()},
                }
            )
            for name, measured in candidate.quality.sets.items()
        },
        "f1_in_cases": rounded(candidate.quality.f1_in_cases),
        "f1_in_documents": rounded(candidate.quality.f1_in_documents),
        "calibration": rounded(asdict(candidate.quality.calibration)),
        "fp32_mean_quality": rounded(asdict(candidate.float32_quality.mean)),
        "fp32_quality": {
            name: rounded(asdict(measured.micro))
            for name, measured in candidate.float32_quality.sets.items()
        },
    }


def _licence(licences: Sequence[str]) -> str:
    """The licence of a model that learned from sets under these, as an SPDX expression.

    Where one asks for more than share-alike does, or is not known here, all stand side by side.
    """
    parts = {part for licence in licences for part in licence.split(" AND ")}
    if any("-SA-" in part for part in parts) and all(map(_FITS_SHARE_ALIKE.fullmatch, parts)):
        return _SHARE_ALIKE_LICENCE
    return " AND ".join(sorted(parts))


def _fingerprint(path: Path) -> dict[str, str | int]:
    content = path.read_bytes()
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
