"""A checkpoint made of a published file."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from tokenizers import Tokenizer
from transformers import BertForTokenClassification

from inference.runtime import Session
from training.__main__ import main
from training.checkpoint import CheckpointInvalid, TrainingRecord, load_cased, load_record, save
from training.data import LABELS
from training.export import export
from training.quantization import quantize
from training.recognition import pad
from training.restoration import restore

_ROWS = [np.array([2, 5, 40, 6, 3]), np.array([2, *range(5, 45), 3])]


def files_of(checkpoint: Path, folder: Path, smallest_table_rows: int = 20) -> Path:
    """Exports and quantizes a checkpoint."""
    export(load_cased(checkpoint), folder / "float32.onnx")
    quantize(folder / "float32.onnx", folder / "model.onnx", smallest_table_rows)
    return folder / "model.onnx"


@pytest.fixture
def version(
    network: BertForTokenClassification,
    tokenizer: Tokenizer,
    record: TrainingRecord,
    tmp_path: Path,
) -> Path:
    """A published version: as much of it as restoring reads."""
    folder = tmp_path / "version"
    save(folder, network, tokenizer, record)
    files_of(folder, folder)
    manifest = {
        "name": "tiny",
        "version": "3",
        "source": {
            "checkpoint": record.encoder,
            "licence": record.encoder_licence,
            "sha256": record.encoder_sha256,
        },
        "data": [
            {"set": s.set, "licence": s.licence, "sha256": s.sha256, "examples": s.examples}
            for s in record.data
        ],
        "training": {
            name: getattr(record, name)
            for name in (
                "commit", "run_id", "command", "seed", "epochs", "learning_rate", "batch_size",
                "precision", "steps", "duration_s",
            )
        },
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_a_restored_version_quantizes_to_the_same_integers(version: Path, tmp_path: Path) -> None:
    """Every layer, the embeddings and the shifts folded into biases: the answers are the same."""
    restore(version, tmp_path / "run")
    again = files_of(tmp_path / "run", tmp_path / "again")
    first, second = (
        {t.name: numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}
        for path in (version / "model.onnx", again)
    )
    integers = [name for name in first if name.endswith("_int8")]
    assert len(integers) == 2 * 4 + 2  # of two layers and two tables
    for name in integers:
        assert np.array_equal(first[name], second[name]), name
    ids, mask = pad(_ROWS)
    before, after = (
        Session.load(path, 1, len(LABELS)).run(ids, mask)[mask == 1]
        for path in (version / "model.onnx", again)
    )
    assert np.abs(before - after).max() < 1e-4


def test_its_record_says_where_it_comes_from(
    version: Path, record: TrainingRecord, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert main(["restore", "--from", str(version), "--run", str(run)]) == 0
    assert load_record(run) == replace(record, restored_from="tiny 3")


@pytest.mark.parametrize("missing", ["manifest.json", "config.json", "model.onnx"])
def test_what_is_no_version_is_refused(version: Path, tmp_path: Path, missing: str) -> None:
    (version / missing).unlink()
    with pytest.raises(CheckpointInvalid, match="no published version"):
        restore(version, tmp_path / "run")
