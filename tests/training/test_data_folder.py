"""Reading the labelled sets of a data folder."""

import json
from pathlib import Path

import pytest

from training.__main__ import main
from training.data import ENTITY_TYPES, DataInvalid, SourceSet, Span
from training.data_folder import (
    ENGLISH_SETS,
    check_labelled,
    find_sets,
    read_corpus,
    read_dev_corpora,
    read_training_corpora,
    unused_folders,
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
        (line("Ann", (0, 4, "person")), r"span \[0, 4\) is outside the text of 3 code points"),
        (line("Ann", (0, 3, "robot")), "label 'robot' is none of person, field: correct it"),
    ],
)
def test_a_wrong_line_is_named_with_its_file_and_number(
    tmp_path: Path, broken: str, reason: str
) -> None:
    write(tmp_path, line("Ann"), broken)
    with pytest.raises(DataInvalid, match=rf"train\.jsonl:2: .*{reason}"):
        read_corpus(tmp_path, SOURCE, "train")


def test_a_missing_folder_is_named_with_the_option_that_sets_it(tmp_path: Path) -> None:
    with pytest.raises(DataInvalid, match=r"No such file.*--data"):
        read_corpus(tmp_path / "nowhere", SOURCE, "train")


def test_a_set_that_the_label_map_lacks_is_refused(tmp_path: Path) -> None:
    write(tmp_path, line("Ann"))
    with pytest.raises(DataInvalid, match=r"no labels at to_conll4\.other"):
        read_corpus(tmp_path, SourceSet("other", "Other", "CC0-1.0"), "train")


def test_a_label_map_with_an_unknown_type_is_refused(tmp_path: Path) -> None:
    write(tmp_path, line("Ann"))
    (tmp_path / "label_map.json").write_text('{"to_conll4": {"tiny": {"person": "HUMAN"}}}')
    with pytest.raises(DataInvalid, match="'HUMAN' is none of PER, ORG"):
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


LABELLED = SourceSet("tiny", "Tiny", "CC0-1.0")


def test_a_sentence_that_is_also_measured_is_refused(tmp_path: Path) -> None:
    """White space aside: column files put a space before the full stop."""
    write(tmp_path, line("new"), line("It is."), line("It is"), line("It was."))
    write(tmp_path, line("It is ."), line("It was ."), split="dev")
    with pytest.raises(DataInvalid) as refused:
        read_training_corpora(tmp_path, [LABELLED])
    message = str(refused.value)
    assert "tiny/train.jsonl:2: the same text as" in message
    assert "tiny/dev.jsonl:1, and 1 more such" in message
    assert "--drop-duplicates" in message


def test_sentences_that_are_also_measured_are_dropped_on_request(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, line("new"), line("It is."))
    write(tmp_path, line("It is ."), split="dev")
    with caplog.at_level("INFO"):
        (corpus,) = read_training_corpora(tmp_path, [LABELLED], drop_duplicates=True)
    assert [example.text for example in corpus.examples] == ["new"]
    assert "1 training sentences that are also measured: left out" in caplog.text


def test_where_all_is_measured_nothing_is_left_to_learn(tmp_path: Path) -> None:
    """As where dev is a copy of train."""
    for split in ("train", "dev"):
        write(tmp_path, line("It is."), split=split)
    with pytest.raises(DataInvalid, match="tiny: every sentence to learn is also measured"):
        read_training_corpora(tmp_path, [LABELLED], drop_duplicates=True)


def test_a_type_that_no_set_labels_is_refused() -> None:
    """Nothing would tell the model what is not of that type."""
    with pytest.raises(DataInvalid, match="none of tiny labels MISC"):
        check_labelled([SOURCE])
    check_labelled([SOURCE, LABELLED])


def test_what_no_set_labels_or_measures_can_be_read(tmp_path: Path) -> None:
    """As by whoever quantizes on a part of the sets, or joins bare text to passages."""
    write(tmp_path, line("new"))
    about(tmp_path, "tiny", unlabelled_types=list(ENTITY_TYPES))
    (corpus,) = read_training_corpora(tmp_path, find_sets(tmp_path))
    assert [example.text for example in corpus.examples] == ["new"]


def test_a_set_that_labels_nothing_is_learned_and_not_measured(tmp_path: Path) -> None:
    """Bare text has no dev split; what another set measures is not learned from it either."""
    write(tmp_path, line("labelled"))
    write(tmp_path, line("measured"), split="dev")
    about(tmp_path, "tiny", unlabelled_types=[])
    about(tmp_path, "bare", unlabelled_types=list(ENTITY_TYPES))
    (tmp_path / "bare" / "train.jsonl").write_text(f"{line('new')}\n{line('measured')}\n")
    sources = find_sets(tmp_path)
    assert [source.name for source in sources if source.is_bare_text] == ["bare"]
    trained = read_training_corpora(tmp_path, sources, drop_duplicates=True)
    assert {e.text for corpus in trained for e in corpus.examples} == {"labelled", "new"}
    assert [corpus.source.name for corpus in read_dev_corpora(tmp_path, sources)] == ["tiny"]


def test_where_nothing_is_labelled_nothing_can_be_measured(tmp_path: Path) -> None:
    about(tmp_path, "bare", unlabelled_types=list(ENTITY_TYPES))
    about(tmp_path, "silver", unlabelled_types=[], measured=False)
    with pytest.raises(DataInvalid, match="nothing can be measured"):
        read_dev_corpora(tmp_path, find_sets(tmp_path))


def about(folder: Path, name: str, **fields: object) -> None:
    (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / name / "set.json").write_text(json.dumps(fields))


def test_a_folder_s_sets_are_the_known_ones_and_those_with_a_set_file(tmp_path: Path) -> None:
    (tmp_path / "btc").mkdir()
    (tmp_path / "someone_elses").mkdir()
    about(tmp_path, "mine", title="My own", licence="CC0-1.0", unlabelled_types=["LOC"])
    known, mine = find_sets(tmp_path)
    assert known in ENGLISH_SETS
    assert known.name == "btc"
    assert mine == SourceSet("mine", "My own", "CC0-1.0", frozenset({"LOC"}))


def test_a_set_file_is_stronger_than_what_is_known_of_a_set(tmp_path: Path) -> None:
    about(tmp_path, "btc", unlabelled_types=[])
    (source,) = find_sets(tmp_path, ["btc"])
    assert source.unlabelled_types == frozenset()
    assert source.licence == "CC-BY-4.0"


def test_a_folder_of_splits_without_a_set_file_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is not learned, which nobody would see in the figures of the others."""
    write(tmp_path, line("Ann", (0, 3, "PER")))
    about(tmp_path, "mine", labels={"P": "PER"})
    (tmp_path / "mine" / "train.conll").write_text("Ann B-P\n")
    (tmp_path / "pictures").mkdir()
    assert unused_folders(tmp_path) == ["tiny"]
    words = ["passages", "--data", str(tmp_path), "--into", str(tmp_path / "mine")]
    main(words)
    assert "not used, as there is no set.json in them: tiny\n" in capsys.readouterr().err
    main([*words, "--sets", "tiny"])
    assert "not used" not in capsys.readouterr().err


def test_a_label_that_means_nothing_here_is_told_where_to_say_it(tmp_path: Path) -> None:
    about(tmp_path, "mine")
    (tmp_path / "mine" / "train.conll").write_text("Ann B-person\n")
    with pytest.raises(DataInvalid, match=r"add it to the labels of .*mine/set\.json"):
        read_corpus(tmp_path, find_sets(tmp_path)[0], "train")


def test_a_folder_without_sets_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(DataInvalid, match=r"holds no set: write set\.json"):
        find_sets(tmp_path)


def test_a_named_set_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataInvalid, match="other: No such file"):
        find_sets(tmp_path, ["other"])


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"licens": "MIT"}, "unknown field 'licens': choose of title, licence"),
        ({"unlabelled_types": "MISC"}, "unlabelled_types is not a list"),
        ({"unlabelled_types": ["DATE"]}, "'DATE' is none of PER, ORG"),
        ({"scheme": "bio"}, "scheme 'bio' is none of iob1, iob2, iobes"),
        ({"tag_column": True}, "tag_column is not a whole number"),
        ({"measured": "no"}, "measured is not true or false"),
        ({"measured": 0}, "measured is not true or false"),
        ({"labels": {"person": 3}}, "labels is not an object from label"),
        ({"document_in_id": 1}, "document_in_id is not a string"),
        ({"document_in_id": "(a"}, r"document_in_id: '\(a': missing \)"),
        ({"document_in_id": "a.*"}, "document_in_id: 'a.*' has no group"),
        (
            {"files": {"validation": "a.conll"}},
            "files: no split 'validation': choose of train, dev",
        ),
    ],
)
def test_a_wrong_set_file_is_named_with_its_field(
    tmp_path: Path, fields: dict[str, object], reason: str
) -> None:
    about(tmp_path, "mine", **fields)
    with pytest.raises(DataInvalid, match=rf"set\.json: {reason}"):
        find_sets(tmp_path)


def test_a_set_file_says_how_columns_are_meant(tmp_path: Path) -> None:
    about(
        tmp_path,
        "mine",
        files={"train": "eng.train"},
        labels={"P": "PER", "D": None},
        scheme="iob1",
        token_column=1,
        tag_column=2,
    )
    (tmp_path / "mine" / "eng.train").write_text("1 Ann I-P x\n2 Lee B-P x\n3 Monday I-D x\n")
    (example,) = read_corpus(tmp_path, find_sets(tmp_path)[0], "train").examples
    assert example.text == "Ann Lee Monday"
    assert example.spans == (Span(0, 3, "PER"), Span(4, 7, "PER"), Span(8, 14, None))


def test_ids_may_say_what_document_a_text_is_of(tmp_path: Path) -> None:
    """Where the text itself does not; an id of another form says nothing."""
    about(tmp_path, "mine", document_in_id=r"(\w+)-\d+|loose")
    lines = [
        {"id": "a-1", "text": "Ann", "spans": []},
        {"id": "b-1", "text": "Bob", "spans": []},
        {"id": "b-2", "text": "Cy", "spans": [], "document": "own"},
        {"id": "note", "text": "Di", "spans": []},
        {"id": "loose", "text": "Ed", "spans": []},
    ]
    content = "".join(f"{json.dumps(each)}\n" for each in lines)
    (tmp_path / "mine" / "train.jsonl").write_text(content)
    examples = read_corpus(tmp_path, find_sets(tmp_path)[0], "train").examples
    assert [example.document for example in examples] == ["a", "b", "own", "", ""]


@pytest.mark.parametrize(
    ("name", "ids", "documents"),
    [
        (
            "uner_en_ewt",
            ["uner_en_ewt-dev:email-enronsent29_01-0002", "uner_en_ewt-dev:answers-2007_ans-0001"],
            ["uner_en_ewt-dev:email-enronsent29_01", "uner_en_ewt-dev:answers-2007_ans"],
        ),
        ("wikigold", ["wikigold-s00005", "wikigold-d001-s000"], ["wikigold", "wikigold-d001"]),
        ("btc", ["btc-train-s00000", "btc-train-s00001"], ["", ""]),
    ],
)
def test_the_documents_of_known_sets_are_known(
    tmp_path: Path, name: str, ids: list[str], documents: list[str]
) -> None:
    """Tweets are of none."""
    (tmp_path / name).mkdir()
    (tmp_path / "label_map.json").write_text(json.dumps({"to_conll4": {name: {}}}))
    content = "".join(f"{json.dumps({'id': i, 'text': i, 'spans': []})}\n" for i in ids)
    (tmp_path / name / "train.jsonl").write_text(content)
    examples = read_corpus(tmp_path, find_sets(tmp_path)[0], "train").examples
    assert [example.document for example in examples] == documents


def test_a_wrong_label_is_named_with_the_line_that_it_stands_in(tmp_path: Path) -> None:
    """Its sentence begins lines above."""
    about(tmp_path, "mine", labels={"PER": "PER"})
    (tmp_path / "mine" / "train.conll").write_text("Ann B-PER\nwas O\nin O\nRome B-PLACE\n")
    with pytest.raises(DataInvalid, match=r"train\.conll:4: label 'PLACE' is none of PER"):
        read_corpus(tmp_path, find_sets(tmp_path)[0], "train")


def test_without_a_label_map_a_set_s_labels_are_entity_types(tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "train.jsonl").write_text(line("Ann", (0, 3, "PER")) + "\n")
    (example,) = read_corpus(tmp_path, LABELLED, "train").examples
    assert example.spans == (Span(0, 3, "PER"),)


def test_a_split_in_two_forms_is_refused(tmp_path: Path) -> None:
    write(tmp_path, line("Ann"))
    (tmp_path / "tiny" / "train.conll").write_text("Ann O\n")
    with pytest.raises(DataInvalid, match=r"train\.jsonl, train\.conll are all the train split"):
        read_corpus(tmp_path, SOURCE, "train")


def test_the_dev_split_may_be_called_validation(tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "validation.conll").write_text("Ann O\n")
    assert len(read_corpus(tmp_path, SOURCE, "dev").examples) == 1


def test_sets_without_misc_are_marked() -> None:
    """UNER and the Broad Twitter Corpus annotate no MISC."""
    marked = {source.name for source in ENGLISH_SETS if source.unlabelled_types}
    assert marked == {"uner_en_ewt", "btc"}
