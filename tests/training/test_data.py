"""Reading the labelled sets."""

import json
from pathlib import Path

import pytest

from training.data import (
    ENGLISH_SETS,
    DataInvalid,
    SourceSet,
    Span,
    read_corpus,
    read_training_corpora,
)

SOURCE = SourceSet("tiny", "Tiny", "CC0-1.0", frozenset({"MISC"}))


def write(folder: Path, *lines: str, split: str = "train") -> None:
    (folder / "tiny").mkdir(parents=True, exist_ok=True)
    label_map = {"to_conll4": {"tiny": {"person": "PER", "field": None}}}
    (folder / "label_map.json").write_text(json.dumps(label_map))
    (folder / "tiny" / f"{split}.jsonl").write_text("\n".join(lines) + "\n")


def line(text: str, *spans: tuple[int, int, str]) -> str:
    marked = [{"start": s, "end": e, "label": label} for s, e, label in spans]
    return json.dumps({"id": "1", "text": text, "spans": marked})


def test_labels_are_mapped_and_spans_sorted(tmp_path: Path) -> None:
    write(tmp_path, line("Ann loves maths", (10, 15, "field"), (0, 3, "person")))
    (example,) = read_corpus(tmp_path, SOURCE, "train").examples
    assert example.spans == (Span(0, 3, "PER"), Span(10, 15, None))
    assert example.unlabelled_types == {"MISC"}


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("{", "Expecting property name"),
        ('{"id": "1", "spans": []}', "no field 'text'"),
        ('{"id": "1", "text": 3, "spans": []}', "text is not a string"),
        (line("Ann", (0, 3, "robot")), "label 'robot' is not in label_map.json"),
        (line("Ann", (0, 4, "person")), r"span \[0, 4\) is empty, overlaps or is outside"),
        (line("Ann", (1, 1, "person")), r"span \[1, 1\)"),
        (line("Ann B", (0, 3, "person"), (2, 5, "person")), r"span \[2, 5\)"),
    ],
)
def test_a_wrong_line_is_named_with_its_file_and_number(
    tmp_path: Path, broken: str, reason: str
) -> None:
    write(tmp_path, line("Ann"), broken)
    with pytest.raises(DataInvalid, match=rf"train\.jsonl:2: .*{reason}"):
        read_corpus(tmp_path, SOURCE, "train")


def test_a_missing_folder_is_named_with_the_option_that_sets_it(tmp_path: Path) -> None:
    with pytest.raises(DataInvalid, match=r"label_map\.json: No such file.*--data"):
        read_corpus(tmp_path / "nowhere", SOURCE, "train")


def test_a_set_that_the_label_map_lacks_is_refused(tmp_path: Path) -> None:
    write(tmp_path, line("Ann"))
    with pytest.raises(DataInvalid, match=r"no labels at to_conll4\.other"):
        read_corpus(tmp_path, SourceSet("other", "Other", "CC0-1.0"), "train")


def test_a_label_map_with_an_unknown_type_is_refused(tmp_path: Path) -> None:
    write(tmp_path, line("Ann"))
    (tmp_path / "label_map.json").write_text('{"to_conll4": {"tiny": {"person": "HUMAN"}}}')
    with pytest.raises(DataInvalid, match="'person' maps to 'HUMAN'"):
        read_corpus(tmp_path, SOURCE, "train")


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "tiny" / "train.jsonl").write_text("")
    with pytest.raises(DataInvalid, match="holds no example"):
        read_corpus(tmp_path, SOURCE, "train")


def test_a_line_separator_inside_a_text_does_not_end_the_line(tmp_path: Path) -> None:
    """U+2028 may stand raw in JSON; only line feeds part the lines of a file."""
    text = "Ann\u2028Bob\u0085Cy"
    write(tmp_path, json.dumps({"id": "1", "text": text, "spans": []}, ensure_ascii=False))
    assert [e.text for e in read_corpus(tmp_path, SOURCE, "train").examples] == [text]


def test_sentences_of_a_dev_split_are_not_trained_on(tmp_path: Path) -> None:
    write(tmp_path, line("seen"), line("new"))
    write(tmp_path, line("seen"), split="dev")
    (corpus,) = read_training_corpora(tmp_path, [SOURCE])
    assert [example.text for example in corpus.examples] == ["new"]


def test_sets_without_misc_are_marked() -> None:
    """UNER and the Broad Twitter Corpus annotate no MISC."""
    marked = {source.name for source in ENGLISH_SETS if source.unlabelled_types}
    assert marked == {"uner_en_ewt", "btc"}
