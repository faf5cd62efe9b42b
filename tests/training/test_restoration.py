"""A checkpoint made of a published file."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
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
_SMALLEST_TABLE_ROWS = 20  # so that the tiny ones are made int8 as well


def files_of(checkpoint: Path, folder: Path, rows: Sequence[NDArray[np.int64]] = ()) -> Path:
    """Exports and quantizes a checkpoint, with scales that rows fix or, without, with tokens'."""
    export(load_cased(checkpoint), folder / "float32.onnx")
    quantize(
        folder / "float32.onnx",
        folder / "model.onnx",
        rows,
        smallest_table_rows=_SMALLEST_TABLE_ROWS,
    )
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
    """Every layer, the embeddings and the shifts folded into biases: the answers are the same.

    So it is with a scale for each token; fixed scales are found anew.
    """
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


def test_a_version_with_fixed_scales_is_restored_to_what_it_computes(
    version: Path, tmp_path: Path
) -> None:
    """The channels that were made even have their own sizes again."""
    even = files_of(version, version, _ROWS)
    restore(version, tmp_path / "run")
    export(load_cased(tmp_path / "run"), tmp_path / "restored.onnx")
    ids, mask = pad(_ROWS)
    float32, int8, restored = (
        Session.load(path, 1, len(LABELS)).run(ids, mask)[mask == 1]
        for path in (version / "float32.onnx", even, tmp_path / "restored.onnx")
    )
    rounding = np.abs(int8 - float32).mean()
    assert 0 < np.abs(restored - int8).mean() < 2 * rounding
    assert np.abs(restored - float32).mean() < 2 * rounding


def test_its_record_says_where_it_comes_from(
    version: Path, record: TrainingRecord, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert main(["restore", "--from", str(version), "--run", str(run)]) == 0
    assert load_record(run) == replace(record, restored_from="tiny 3")


def test_no_model_is_written_over_by_a_restored_one(
    version: Path,
    network: BertForTokenClassification,
    tokenizer: Tokenizer,
    record: TrainingRecord,
    tmp_path: Path,
) -> None:
    run = tmp_path / "run"
    save(run, network, tokenizer, record)
    with pytest.raises(CheckpointInvalid, match=r"holds a model already.*--run"):
        restore(version, run)
    assert load_record(run) == record


@pytest.mark.parametrize("missing", ["manifest.json", "config.json", "model.onnx"])
def test_what_is_no_version_is_refused(version: Path, tmp_path: Path, missing: str) -> None:
    (version / missing).unlink()
    with pytest.raises(CheckpointInvalid, match="no published version"):
        restore(version, tmp_path / "run")
