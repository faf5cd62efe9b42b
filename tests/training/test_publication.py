"""Version folders of the model repository."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from transformers import BertForTokenClassification

from training.checkpoint import TrainingRecord, save
from training.evaluation import Quality
from training.publication import (
    GATE_SET,
    Candidate,
    PublicationRefused,
    check_gate,
    next_version,
    publish,
)


def measured(f1: float) -> dict[str, Quality]:
    return {GATE_SET: Quality(f1, f1, f1)}


@pytest.fixture
def candidate(
    network: BertForTokenClassification,
    tokenizer: Tokenizer,
    record: TrainingRecord,
    run_folder: Path,
) -> Candidate:
    save(run_folder, network, tokenizer, record)
    (run_folder / "int8.onnx").write_bytes(b"weights")
    return Candidate(
        name="ner-en",
        version="1",
        checkpoint=run_folder,
        model=run_folder / "int8.onnx",
        record=record,
        quality=measured(77.04),
        float32_quality=measured(77.26),
        logit_difference=1e-5,
    )


def test_the_manifest_names_every_other_file_with_its_hash(
    candidate: Candidate, tmp_path: Path
) -> None:
    folder = publish(candidate, tmp_path / "models")
    assert folder == tmp_path / "models" / "ner-en" / "1"
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    assert (manifest["schema_version"], manifest["name"], manifest["version"]) == (1, "ner-en", "1")
    assert manifest["files"].keys() == {path.name for path in folder.iterdir()} - {"manifest.json"}
    for name, entry in manifest["files"].items():
        content = (folder / name).read_bytes()
        assert entry == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    assert manifest["quality"][GATE_SET]["f1"] == 77.04
    assert manifest["data"][0]["set"] == "uner_en_ewt"


def test_the_folder_holds_what_a_service_needs_and_no_leftovers(
    candidate: Candidate, tmp_path: Path
) -> None:
    folder = publish(candidate, tmp_path / "models")
    assert {path.name for path in folder.iterdir()} == {
        "model.onnx",
        "tokenizer.json",
        "config.json",
        "manifest.json",
        "MODEL_CARD.md",
    }
    assert [path.name for path in folder.parent.iterdir()] == ["1"]


def test_the_card_names_the_sets_their_licences_and_the_figures(
    candidate: Candidate, tmp_path: Path
) -> None:
    card = (publish(candidate, tmp_path / "models") / "MODEL_CARD.md").read_text("utf-8")
    assert "Universal NER, English EWT (uner_en_ewt) | CC-BY-SA-4.0 | 12,000" in card
    assert "| uner_en_ewt | 77.0 | 77.0 | 77.0 | 77.3 |" in card
    assert "CC BY-SA 4.0" in card


def test_a_version_is_never_overwritten_unasked(candidate: Candidate, tmp_path: Path) -> None:
    models = tmp_path / "models"
    model = publish(candidate, models) / "model.onnx"
    candidate.model.write_bytes(b"others")
    with pytest.raises(PublicationRefused, match="exists: give --replace"):
        publish(candidate, models)
    assert model.read_bytes() == b"weights"
    publish(candidate, models, replace=True)
    assert model.read_bytes() == b"others"


def test_versions_are_counted_on(tmp_path: Path) -> None:
    assert next_version(tmp_path, "ner-en") == "1"
    for version in ("2", "10", "draft"):
        (tmp_path / "ner-en" / version).mkdir(parents=True)
    assert next_version(tmp_path, "ner-en") == "11"


@pytest.mark.parametrize(
    ("f1", "float32_f1", "reason"),
    [(74.9, 75.0, "74.90 on uner_en_ewt is below 75.0"), (76.0, 76.6, "int8 lost 0.60 of F1")],
)
def test_a_model_that_is_too_weak_or_lost_too_much_is_not_published(
    candidate: Candidate, tmp_path: Path, f1: float, float32_f1: float, reason: str
) -> None:
    weak = replace(candidate, quality=measured(f1), float32_quality=measured(float32_f1))
    with pytest.raises(PublicationRefused, match=reason):
        publish(weak, tmp_path / "models")
    assert not (tmp_path / "models").exists()


def test_a_model_at_the_limits_passes() -> None:
    check_gate(measured(75.0), measured(75.5))
