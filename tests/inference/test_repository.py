"""Which models are served, and which are refused."""

import json
from pathlib import Path

import pytest

from inference.errors import ModelInvalid, ModelNotFound, Reason
from inference.repository import Repository
from tests.tiny_model import (
    LABELS,
    score_table,
    write_manifest,
    write_onnx,
    write_version,
)


def load(folder: Path, default_model: str = "") -> Repository:
    """Loads a repository as the service does."""
    return Repository.load(folder, default_model, window_tokens=128, threads=1)


def refusal(folder: Path, version: str = "2") -> str:
    """Why a version of tiny was refused; version 1 must go on serving."""
    repository = load(folder)
    assert repository.get("tiny", "").version == "1"
    (state,) = [v for v in repository.versions if v.version == version]
    assert state.model is None
    return state.detail


def test_the_highest_number_is_live(repository_folder: Path) -> None:
    for version in ("2", "10", "9-rc"):
        write_version(repository_folder / "tiny" / version)
    repository = load(repository_folder)
    assert repository.get("tiny", "").version == "10"
    assert repository.get("tiny", "2").version == "2"
    assert [v.version for v in repository.versions] == ["9-rc", "1", "2", "10"]
    assert [v.version for v in repository.versions if v.live] == ["10"]


def test_a_call_that_names_no_model_gets_the_default(repository_folder: Path) -> None:
    write_version(repository_folder / "another" / "1")
    assert load(repository_folder).get("", "").name == "another"
    assert load(repository_folder, "tiny").get("", "").name == "tiny"


@pytest.mark.parametrize(
    ("name", "version", "reason"),
    [
        ("none", "", Reason.MODEL_NOT_FOUND),
        ("tiny", "7", Reason.VERSION_NOT_FOUND),
        ("../tiny", "1", Reason.MODEL_NOT_FOUND),
        ("tiny", "../1", Reason.VERSION_NOT_FOUND),
    ],
)
def test_what_is_not_served_is_said(
    repository_folder: Path, name: str, version: str, reason: Reason
) -> None:
    with pytest.raises(ModelNotFound) as caught:
        load(repository_folder).get(name, version)
    assert caught.value.reason == reason


def test_a_version_that_matches_its_manifest_is_served(repository_folder: Path) -> None:
    write_manifest(write_version(repository_folder / "tiny" / "2"))
    assert load(repository_folder).get("tiny", "").version == "2"


def test_a_changed_file_is_refused_before_it_is_loaded(repository_folder: Path) -> None:
    folder = write_version(repository_folder / "tiny" / "2")
    write_manifest(folder)
    table = score_table()
    table[0, 0] += 1
    write_onnx(folder / "model.onnx", table)
    assert refusal(repository_folder).startswith("model.onnx: its sha256 is")


def test_a_file_that_the_manifest_does_not_name_is_refused(repository_folder: Path) -> None:
    folder = write_version(repository_folder / "tiny" / "2")
    write_manifest(folder)
    (folder / "stray.bin").write_bytes(b"?")
    assert refusal(repository_folder) == "stray.bin: not in manifest.json"


def test_a_missing_file_is_refused(repository_folder: Path) -> None:
    folder = write_version(repository_folder / "tiny" / "2")
    write_manifest(folder)
    (folder / "tokenizer.json").unlink()
    assert refusal(repository_folder) == "tokenizer.json: named in manifest.json but missing"


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ("{", "manifest.json: not JSON"),
        ("[]", "manifest.json: must hold a JSON object"),
        ('{"schema_version": 9}', "manifest.json: schema_version must be 1"),
        ('{"schema_version": 1}', "manifest.json: files must name at least one file"),
        (
            '{"schema_version": 1, "files": {"../1/model.onnx": {"sha256": ""}}}',
            "config.json: not in manifest.json",
        ),
    ],
)
def test_a_manifest_that_says_nothing_is_refused(
    repository_folder: Path, manifest: str, message: str
) -> None:
    folder = write_version(repository_folder / "tiny" / "2")
    (folder / "manifest.json").write_text(manifest)
    assert refusal(repository_folder).startswith(message)


def test_the_file_name_of_an_optimum_export_is_found(repository_folder: Path) -> None:
    folder = write_version(repository_folder / "tiny" / "2")
    (folder / "model.onnx").rename(folder / "model_quantized.onnx")
    assert load(repository_folder).get("tiny", "").version == "2"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"max_position_embeddings": 512}, "config.json: id2label is missing"),
        ({"id2label": {"1": "O"}}, "config.json: id2label must map 0, 1,"),
        ({"id2label": dict(enumerate(LABELS))}, "config.json: max_position_embeddings is missing"),
        (
            {
                "id2label": dict(enumerate(LABELS)),
                "max_position_embeddings": 512,
                "joined_words": 1,
            },
            "config.json: joined_words must be true or false",
        ),
        *(
            (
                {
                    "id2label": dict(enumerate(LABELS)),
                    "max_position_embeddings": 512,
                    "passage_tokens": tokens,
                },
                "config.json: passage_tokens must be from 8 to 512, or 0",
            )
            for tokens in (7, 513, -1, True, "256", 64.0, None)
        ),
        *(
            (
                {
                    "id2label": dict(enumerate(LABELS)),
                    "max_position_embeddings": 512,
                    field: share,
                },
                f"config.json: {field} must be a number from 0 to 1",
            )
            for field in ("min_score", "label_consistency")
            for share in (1.5, -0.1, True, "0.4", None, float("nan"))
        ),
    ],
)
def test_a_config_without_what_serving_needs_is_refused(
    repository_folder: Path, config: dict[str, object], message: str
) -> None:
    folder = write_version(repository_folder / "tiny" / "2")
    (folder / "config.json").write_text(json.dumps(config))
    assert refusal(repository_folder).startswith(message)


def test_a_configuration_may_say_what_score_is_returned(repository_folder: Path) -> None:
    assert load(repository_folder).get("tiny", "").decoder.min_score == 0.0
    folder = write_version(repository_folder / "tiny" / "2")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"min_score": 0.4}))
    assert load(repository_folder).get("tiny", "").decoder.min_score == 0.4


def test_a_configuration_may_say_how_far_occurrences_speak_for_each_other(
    repository_folder: Path,
) -> None:
    assert load(repository_folder).get("tiny", "").decoder.label_consistency == 0.0
    folder = write_version(repository_folder / "tiny" / "2")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"label_consistency": 0.75}))
    assert load(repository_folder).get("tiny", "").decoder.label_consistency == 0.75


def test_a_configuration_may_say_that_a_sign_within_ends_no_word(repository_folder: Path) -> None:
    folder = write_version(repository_folder / "tiny" / "2")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"joined_words": True}))
    repository = load(repository_folder)
    starts = {
        version: repository.get("tiny", version).tokenizer.tokenize("Paris-a").word_starts
        for version in "12"
    }
    assert starts == {"1": [0, 1, 2], "2": [0]}


def test_a_configuration_may_say_that_windows_hold_several_sentences(
    repository_folder: Path,
) -> None:
    folder = write_version(repository_folder / "tiny" / "2")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"passage_tokens": 32}))
    repository = load(repository_folder)
    windows = {
        version: len(
            repository.get("tiny", version).tokenizer.tokenize("Paris. Seoul. " * 99).windows
        )
        for version in "12"
    }
    assert windows == {"1": 198, "2": 14}, "of two tokens each there is room for 15"


def test_a_model_with_another_number_of_labels_is_refused(repository_folder: Path) -> None:
    write_version(repository_folder / "tiny" / "2", labels=[*LABELS, "B-MISC"])
    assert refusal(repository_folder).startswith("the model cannot be run")


def test_a_model_with_unknown_inputs_is_refused(repository_folder: Path) -> None:
    folder = write_version(repository_folder / "tiny" / "2")
    write_onnx(folder / "model.onnx", score_table(), mask_name="images")
    assert "inputs must be input_ids, attention_mask" in refusal(repository_folder)


def test_a_file_that_is_no_model_is_refused(repository_folder: Path) -> None:
    folder = write_version(repository_folder / "tiny" / "2")
    (folder / "model.onnx").write_bytes(b"not a model")
    assert refusal(repository_folder).startswith("model.onnx: onnxruntime cannot load it")


def test_the_model_limits_the_window(repository_folder: Path) -> None:
    repository = Repository.load(repository_folder, "", window_tokens=4096, threads=1)
    assert repository.get("tiny", "").tokenizer.window_tokens == 512


def test_a_repository_that_serves_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelInvalid, match="no such folder"):
        load(tmp_path / "none")
    with pytest.raises(ModelInvalid, match="no model; expected"):
        load(tmp_path)
    write_version(tmp_path / "tiny" / "1")
    with pytest.raises(ModelInvalid, match="is not served"):
        load(tmp_path, "another")
    (tmp_path / "tiny" / "1" / "model.onnx").unlink()
    with pytest.raises(ModelInvalid, match=r"no model can be served: tiny/1: no model\.onnx"):
        load(tmp_path)
