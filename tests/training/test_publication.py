"""Version folders of the model repository."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from transformers import BertForTokenClassification

from training.calibration import Calibration, Threshold
from training.checkpoint import TrainedOn, TrainingRecord, save
from training.evaluation import Quality, SetQuality
from training.evaluation_report import EvaluationReport
from training.gate import GateRefused
from training.model_card import model_card
from training.publication import (
    QUALITY_SET,
    Candidate,
    PublicationRefused,
    check_quality,
    next_version,
    publish,
)


def measured(f1: float, name: str = QUALITY_SET) -> EvaluationReport:
    quality = Quality(f1, f1, f1, 1_000)
    types = {"PER": quality, "ORG": quality, "LOC": quality}
    scores = Calibration(0.0312, (), (Threshold(0.5, quality),))
    return EvaluationReport(
        "model.onnx", {name: SetQuality(types, quality, quality)}, quality, scores
    )


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
        float32_quality=measured(77.16),
        logit_difference=1e-5,
    )


def test_the_manifest_names_every_other_file_with_its_hash(
    candidate: Candidate, tmp_path: Path
) -> None:
    record = replace(candidate.record, label_consistency=0.5)
    config = json.loads((candidate.checkpoint / "config.json").read_text("utf-8"))
    (candidate.checkpoint / "config.json").write_text(json.dumps(config | {"passage_tokens": 32}))
    folder = publish(replace(candidate, record=record), tmp_path / "models")
    assert folder == tmp_path / "models" / "ner-en" / "1"
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    assert (manifest["schema_version"], manifest["name"], manifest["version"]) == (1, "ner-en", "1")
    assert manifest["files"].keys() == {path.name for path in folder.iterdir()} - {"manifest.json"}
    for name, entry in manifest["files"].items():
        content = (folder / name).read_bytes()
        assert entry == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    assert manifest["quality"][QUALITY_SET]["f1"] == 77.04
    assert manifest["data"][0]["set"] == "uner_en_ewt"
    assert manifest["passage_tokens"] == 32
    assert manifest["training"]["label_consistency"] == 0.5


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


def test_the_model_passes_on_the_share_alike_terms_of_a_set(
    candidate: Candidate, tmp_path: Path
) -> None:
    def licence_after(*licences: str) -> str:
        data = tuple(TrainedOn(f"set{i}", each, "", 1) for i, each in enumerate(licences))
        trained = replace(candidate, record=replace(candidate.record, data=data))
        folder = publish(trained, tmp_path / "models", replace=True)
        manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
        return str(manifest["licence"])

    assert licence_after("CC-BY-4.0", "MIT AND CC-BY-SA-3.0") == "CC-BY-SA-4.0"
    assert licence_after("MIT", "CC-BY-4.0", "MIT") == "CC-BY-4.0 AND MIT"


def test_terms_that_share_alike_does_not_hold_stay_in_the_licence(
    candidate: Candidate, tmp_path: Path
) -> None:
    for licence in ("CC-BY-NC-4.0", "CC-BY-NC-SA-4.0", "NOASSERTION"):
        data = (TrainedOn("a", "CC-BY-SA-4.0", "", 1), TrainedOn("b", licence, "", 1))
        trained = replace(candidate, record=replace(candidate.record, data=data))
        folder = publish(trained, tmp_path / "models", replace=True)
        manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
        assert manifest["licence"] == " AND ".join(sorted(("CC-BY-SA-4.0", licence)))


def test_the_card_stands_beside_the_manifest_and_says_what_it_says(
    candidate: Candidate, tmp_path: Path
) -> None:
    folder = publish(candidate, tmp_path / "models")
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    assert (folder / "MODEL_CARD.md").read_text("utf-8") == model_card(manifest)
    assert manifest["quality"][QUALITY_SET]["types"]["PER"]["f1"] == 77.04
    assert manifest["calibration"]["expected_error"] == 0.0312
    assert (manifest["mean_quality"]["f1"], manifest["fp32_mean_quality"]["f1"]) == (77.04, 77.16)


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


def test_a_model_that_is_too_weak_is_not_published(candidate: Candidate, tmp_path: Path) -> None:
    weak = replace(candidate, quality=measured(74.9), float32_quality=measured(75.0))
    with pytest.raises(PublicationRefused, match=r"74\.90 on uner_en_ewt is below 75\.0"):
        publish(weak, tmp_path / "models")
    assert not (tmp_path / "models").exists()


def test_a_model_that_lost_too_much_is_not_published(candidate: Candidate, tmp_path: Path) -> None:
    lossy = replace(candidate, quality=measured(76.0), float32_quality=measured(76.6))
    with pytest.raises(GateRefused, match=r"int8 lost 0\.60 of F1"):
        publish(lossy, tmp_path / "models")
    assert not (tmp_path / "models").exists()
    publish(lossy, tmp_path / "models", largest_loss=0.7)


def test_a_model_at_the_limits_passes() -> None:
    check_quality(measured(75.0), measured(75.2))


def test_a_model_that_was_measured_on_other_sets_has_no_lowest_f1() -> None:
    check_quality(measured(40.0, "own"), measured(40.0, "own"))
