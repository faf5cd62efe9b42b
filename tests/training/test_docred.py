"""Files of DocRED as a labelled set."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from inference.core import Entity
from tests import shipped
from training.__main__ import main
from training.data import DataInvalid
from training.data_folder import find_sets, read_corpus
from training.docred import as_printed, write_docred

_SHIPPED = shipped.FOLDER / "model.onnx"


class _SaysMisc:
    """Takes each word that ends like an adjective for MISC, and each other capital for LOC."""

    def recognize(self, texts: Sequence[str]) -> list[list[Entity]]:
        return [list(self._entities(text)) for text in texts]

    def _entities(self, text: str) -> list[Entity]:
        found, begin = [], 0
        for word in text.split(" "):
            if word[:1].isupper():
                label = "MISC" if word.endswith("ish") else "LOC"
                found.append(Entity(word, label, begin, begin + len(word), 1.0))
            begin += len(word) + 1
        return found


def _document(title: str, *sentences: str, **mentions: tuple[int, int, int, str]) -> dict[str, Any]:
    """A document; a mention is sentence, first and last word, type."""
    return {
        "title": title,
        "sents": [sentence.split("|") for sentence in sentences],
        "vertexSet": [
            [{"sent_id": sentence, "pos": [first, last], "type": kind, "name": name}]
            for name, (sentence, first, last, kind) in mentions.items()
        ],
    }


def _written(folder: Path, *documents: dict[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """The texts of the set made of them, with its names and their types."""
    file = folder / "documents.json"
    file.write_text(json.dumps(documents))
    write_docred([file], folder / "data" / "docred", _SaysMisc())
    [source] = find_sets(folder / "data")
    examples = [
        example
        for split in ("train", "dev")
        for example in read_corpus(folder / "data", source, split).examples
    ]
    return [
        (e.text, [(e.text[span.start : span.end], str(span.label)) for span in e.spans])
        for e in examples
    ]


def test_every_second_document_is_written_as_print(tmp_path: Path) -> None:
    sentence = 'He|visited|"|New|York|"|(|its| |harbour|)|,|too|.'
    name = {"york": (0, 3, 5, "LOC")}
    texts = _written(tmp_path, _document("A", sentence, **name), _document("B", sentence, **name))
    assert texts == [
        ('He visited " New York " ( its harbour ) , too .', [("New York", "LOC")]),
        ('He visited "New York" (its harbour), too.', [("New York", "LOC")]),
    ]


def test_an_adjective_of_a_place_is_misc_and_the_place_stays(tmp_path: Path) -> None:
    texts = _written(
        tmp_path,
        _document("A", "The|British|came|to|Paris", x=(0, 1, 2, "LOC"), y=(0, 4, 5, "LOC")),
        _document("B", "No|names|at|all"),
    )
    assert texts[0] == ("The British came to Paris", [("British", "MISC"), ("Paris", "LOC")])


def test_times_names_in_names_and_what_is_no_sentence_are_left_out(tmp_path: Path) -> None:
    texts = _written(
        tmp_path,
        _document(
            "A",
            "The|Bank|of|England|in|1694",
            "1|.",
            inner=(0, 3, 4, "LOC"),
            outer=(0, 1, 4, "ORG"),
            year=(0, 5, 6, "TIME"),
        ),
        _document("B", "No|names|at|all"),
    )
    assert texts == [
        ("The Bank of England in 1694", [("Bank of England", "ORG")]),
        ("No names at all", []),
    ]


def test_a_document_in_two_files_is_taken_from_the_first(tmp_path: Path) -> None:
    files = [tmp_path / "revised.json", tmp_path / "old.json"]
    files[0].write_text(json.dumps([_document("A", "a|b|new"), _document("B", "c|d|e")]))
    files[1].write_text(json.dumps([_document("A", "a|b|old")]))
    assert write_docred(files, tmp_path / "set", _SaysMisc()) == (1, 1)
    assert json.loads((tmp_path / "set" / "train.jsonl").read_text())["text"] == "a b new"


@pytest.mark.parametrize("content", ['{"title": "A"}', "[", '[{"title": "A", "sents": []}]'])
def test_another_file_is_refused_by_its_name(tmp_path: Path, content: str) -> None:
    file = tmp_path / "other.json"
    file.write_text(content)
    with pytest.raises(DataInvalid, match=r"other\.json: no list of documents with title"):
        write_docred([file], tmp_path / "set", _SaysMisc())


def test_the_command_asks_a_served_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "dev.json"
    british = _document("A", "The|British|visited|him|.", x=(0, 1, 2, "LOC"))
    file.write_text(json.dumps([british, _document("B", "c|d|e")]))
    folder = tmp_path / "docred"
    assert main(["docred", str(file), "--into", str(folder), "--model", str(_SHIPPED)]) == 0
    assert "1 sentences to learn, 1 to measure" in capsys.readouterr().out
    [span] = json.loads((folder / "train.jsonl").read_text())["spans"]
    assert span["label"] == "MISC"


def test_a_set_is_not_written_over(tmp_path: Path) -> None:
    file = tmp_path / "documents.json"
    file.write_text(json.dumps([_document("A", "a|b|c"), _document("B", "d|e|f")]))
    (tmp_path / "set").mkdir()
    with pytest.raises(DataInvalid, match="set: is there already: name another folder"):
        write_docred([file], tmp_path / "set", _SaysMisc())


def test_words_keep_their_spaces_in_print() -> None:
    words = "In Britain 's case , one - third .".split()
    assert as_printed(words) == [False, True, False, True, False, True, False, False, False]
