"""The whole chain on a tiny encoder, as a person runs it."""

import json
import os
import re
import sys
from pathlib import Path

import pytest

from inference.repository import Repository
from training.__main__ import main
from training.data_folder import ENGLISH_SETS, read_corpus, read_training_corpora

SHARED_DATA = Path(__file__).parents[3] / "shared" / "data"


def test_train_ends_in_a_version_that_the_service_loads(
    data: Path, encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, models = tmp_path / "run", tmp_path / "models"
    measured_on = ["--data", str(data), "--threads", "1"]
    place = [*measured_on, "--run", str(run)]
    recipe = ["--encoder", str(encoder), "--epochs", "12", "--learning-rate", "5e-3"]
    assert main(["train", *place, "--models", str(models), *recipe]) == 0
    # For a model of all sets the sentences of some will do, though none of those has MISC.
    assert main(["quantize", *place, "--sets", "uner_en_ewt"]) == 0
    assert main(["batch-independence", *place]) == 0
    model = models / "ner-en" / "1" / "model.onnx"
    assert main(["document-agreement", *measured_on, "--model", str(model)]) == 0
    assert main(["speed", *place, "--seconds", "0.01", "--beside", str(model)]) == 0
    figures, page = tmp_path / "figures.json", tmp_path / "errors.html"
    wanted = ["--model", str(model), "--json", str(figures), "--report", str(page)]
    assert main(["evaluate", *measured_on, *wanted, "--cases", "--documents"]) == 0
    measured = json.loads(figures.read_text("utf-8"))
    assert measured["sets"].keys() == {s.name for s in ENGLISH_SETS}
    assert "<summary>missed (" in page.read_text("utf-8")
    output = capsys.readouterr().out
    assert "logits within" in output
    assert "expected calibration error" in output
    assert "int8, as it ships             0" in output
    assert re.search(
        r"16 sentences as they come +[0-9,]+ \(1\.00\)( +[0-9,]+ \([0-9.]+\)){2}", output
    )

    served = Repository.load(models, "ner-en", 256, 1).get("", "")
    text = served.tokenizer.tokenize("Angela Merkel met Tim Cook .")
    ids = text.windows[0].ids[None, :]
    (logits,) = served.session.run(ids, ids * 0 + 1)
    found = served.decoder.decode(text, [logits])
    assert [(e.text, e.label) for e in found] == [("Angela Merkel", "PER"), ("Tim Cook", "PER")]

    manifest = json.loads(model.with_name("manifest.json").read_text("utf-8"))
    for in_other_form in ("f1_in_cases", "f1_in_documents"):
        assert manifest[in_other_form] == measured[in_other_form]
    assert manifest["f1_in_documents"].keys() == {"uner_en_ewt"}  # its ids name documents
    small, as_it_is = manifest["f1_in_cases"]["lower"], manifest["quality"]
    assert small["uner_en_ewt"] < as_it_is["uner_en_ewt"]["f1"]  # no such name was learned
    assert str(tmp_path) not in manifest["training"]["command"].replace(str(encoder), "")


def test_a_version_that_is_there_is_refused_before_the_first_step(
    data: Path, encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "models" / "ner-en" / "7").mkdir(parents=True)
    words = ["train", "--data", str(data), "--encoder", str(encoder), "--version", "7"]
    words += ["--models", str(tmp_path / "models"), "--run", str(tmp_path / "run")]
    assert main(words) == 1
    assert "7 exists: give --replace, or another --version" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_model_that_the_gate_refuses_is_published_without_learning_again(
    data: Path, encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, models = tmp_path / "run", tmp_path / "models"
    words = ["train", "--data", str(data), "--sets", "wikigold", "--encoder", str(encoder)]
    words += ["--epochs", "1", "--threads", "1", "--no-tracking", "--largest-loss", "-100"]
    assert main([*words, "--run", str(run), "--models", str(models)]) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith("error: int8 lost ")
    _, _, left = message.partition("what is left is: python -m training ")
    assert main([*left.split(), "--largest-loss", "100"]) == 0
    assert (models / "ner-en" / "1" / "model.onnx").exists()


@pytest.mark.parametrize("command", ["fine-tune", "train", "export", "publish"])
def test_what_is_missing_is_named_without_a_stack_trace(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main([command, "--data", str(tmp_path / "none"), "--run", str(run)]) == 1
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert "No such file" in message or "no such file" in message
    assert "Traceback" not in message


@pytest.mark.parametrize(
    "words",
    [
        "fine-tune --data . --models models",
        "restore --from 1 --threads 2",
        "average a b --models models",
        "calibrate --data . --drop-duplicates",
        "export --data . --drop-duplicates",
        "evaluate --data . --model m.onnx --run run",
        "document-agreement --data . --model m.onnx --run run",
        "batch-independence --data . --drop-duplicates",
        "speed --data . --models models",
        "silver --data . --teachers a --into b --drop-duplicates",
    ],
)
def test_an_option_that_would_have_no_effect_is_refused(
    words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(words.split())
    assert "unrecognized arguments" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["fine-tune", "train", "publish"])
@pytest.mark.parametrize("name", ["my model", "münchen", "a/b", "_1", "", "a" * 65])
def test_a_name_that_no_service_takes_is_refused_at_once(
    command: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for option in ("--name", "--version") if command != "fine-tune" else ("--name",):
        with pytest.raises(SystemExit):
            main([command, "--data", str(tmp_path), option, name])
        assert f"argument {option}: {name!r}: the service sees names of" in capsys.readouterr().err


@pytest.mark.parametrize(("command", "folder"), [("fine-tune", "--run"), ("search", "--study")])
def test_a_model_learns_no_type_that_none_of_its_sets_labels(
    command: str, folder: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [command, "--data", str(data), "--sets", "btc", "uner_en_ewt"]
    assert main([*words, folder, str(tmp_path / "new")]) == 1
    assert "none of btc, uner_en_ewt labels MISC" in capsys.readouterr().err


def test_without_data_train_refuses_what_its_sample_would_ignore(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--epochs", "9", "--run", str(tmp_path), "--resume", "--seed", "1"]
    assert main(["train", *options]) == 1
    assert capsys.readouterr().err == (
        "error: train without --data learns a built-in sample, which takes no --run, --resume,"
        " --epochs: add --data DIR\n"
    )


def test_an_unknown_encoder_is_named(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--data", str(data), "--run", str(tmp_path / "run"), "--encoder", str(tmp_path)]
    assert main(["fine-tune", *options]) == 1
    assert "tokenizer.json" in capsys.readouterr().err


@pytest.mark.skipif(not SHARED_DATA.is_dir(), reason="the labelled sets are not beside this folder")
def test_the_published_sets_can_be_read_and_share_no_sentence() -> None:
    corpora = read_training_corpora(SHARED_DATA, ENGLISH_SETS, drop_duplicates=True)
    assert sum(len(corpus.examples) for corpus in corpora) > 25_000
    trained = {example.text for corpus in corpora for example in corpus.examples}
    for source in ENGLISH_SETS:
        held_out = {example.text for example in read_corpus(SHARED_DATA, source, "dev").examples}
        assert not held_out & trained


@pytest.mark.parametrize(
    "words",
    [
        "calibrate --data . --threads 0",
        "ask --data . --teachers t --into f --threads 0",
        "search --data . --workers 0",
        "passages --data . --into f --layouts 0",
    ],
)
def test_nothing_is_done_in_no_thread_or_process(
    words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words.split())
    assert caught.value.code == 2
    assert "0: at least 1" in capsys.readouterr().err


def test_a_reader_who_has_gone_ends_a_command_without_a_traceback(
    data: Path,
    encoder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As in `python -m training evaluate … | head -1`."""
    reader, writer = os.pipe()
    os.close(reader)
    command = ["passages", "--data", str(data), "--encoder", str(encoder)]
    with open(writer, "w", encoding="utf-8") as unread:  # noqa: PTH123 - a descriptor
        monkeypatch.setattr(sys, "stdout", unread)
        assert main([*command, "--into", str(tmp_path / "passages")]) == 141
    assert capsys.readouterr().err == ""
