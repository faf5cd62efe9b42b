"""Reading a split in each form, and what is said of a wrong one."""

import json
from pathlib import Path

import pytest
from datasets import (  # type: ignore[import-untyped]  # ships no types
    ClassLabel,
    Dataset,
    Features,
    List,
    Value,
)
from hypothesis import given
from hypothesis import strategies as st

from training.readers.conll import Columns, Token, sentence_of
from training.readers.record import DataInvalid, LabelledSpan
from training.readers.splits import read
from training.readers.tag_schemes import Scheme

NAMES = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]


def spans(path: Path, columns: Columns | None = None) -> list[list[tuple[str, str]]]:
    records = read(path, columns or Columns())
    return [[(r.text[s.start : s.end], s.label) for s in r.spans] for r in records]


def conll(folder: Path, content: str) -> Path:
    path = folder / "train.conll"
    path.write_text(content, "utf-8")
    return path


def test_columns_end_a_sentence_at_an_empty_line(tmp_path: Path) -> None:
    content = "-DOCSTART- -X- O\n\nAnn NNP B-PER\nLee NNP I-PER\n\n\nin IN O\nRome NNP B-LOC\n"
    path = conll(tmp_path, content)
    assert spans(path) == [[("Ann Lee", "PER")], [("Rome", "LOC")]]
    first, second = read(path)
    assert (first.place, second.place) == (f"{path}:3", f"{path}:7")


def test_a_line_begins_a_document(tmp_path: Path) -> None:
    """Where there is none the sentences are of no known document."""
    a, b, c = (f"{name}\tB-PER\n\n" for name in "abc")
    documents = {
        a + b: ["", ""],
        f"-DOCSTART- O\n\n{a}{b}-DOCSTART- O\n\n{c}": ["1", "1", "7"],
        f"-DOCSTART- O\n{a.rstrip()}\n-DOCSTART- O\n{c}": ["1", "3"],
        f"# newdoc id = x\n# newpar id = y\n{a}# newpar\n{b}# newdoc\n{c}": ["1", "1", "8"],
    }
    for content, expected in documents.items():
        assert [record.document for record in read(conll(tmp_path, content))] == expected


def test_columns_may_be_parted_by_tabs_end_in_crlf_and_have_comments(tmp_path: Path) -> None:
    """A token may then hold a space, and a number sign is a token where it has a tag."""
    path = conll(tmp_path, "# sent_id = 1\r\nNew York\tB-LOC\r\n#\tO\r\n\r\n")
    assert spans(path) == [[("New York", "LOC")]]
    assert read(path)[0].text == "New York #"


@pytest.mark.parametrize("key", ["global.columns", "meta::title", "text[en]", "sent-id", "#x"])
def test_a_comment_may_have_any_key(tmp_path: Path, key: str) -> None:
    assert read(conll(tmp_path, f"# {key} = a b\nAnn\tB-PER\n"))[0].text == "Ann"


@pytest.mark.parametrize(
    "line", ["#\tO", "# O", "#\tSYM\t=\tO", "#\t:\t=\tO", "# = O", "#=\tO", "#a.b O"]
)
def test_a_number_sign_that_has_a_tag_is_a_token(tmp_path: Path, line: str) -> None:
    """Also as the first of a sentence, where comments stand."""
    [sentence] = read(conll(tmp_path, f"{line}\nAnn\tB-PER\n"))
    assert sentence.text.startswith("#")
    assert sentence.text.endswith(" Ann")


def test_a_text_stands_as_it_was_written_where_a_comment_says_how(tmp_path: Path) -> None:
    path = conll(
        tmp_path,
        "# text = Ann Lee's  Rome.\nAnn\tB-PER\nLee\tI-PER\n's\tO\nRome\tB-LOC\n.\tO\n\n"
        "Ann\tB-PER\n.\tO\n",
    )
    first, second = read(path)
    assert (first.text, second.text) == ("Ann Lee's  Rome.", "Ann .")
    assert [(s.start, s.end) for s in first.spans] == [(0, 7), (11, 15)]


@pytest.mark.parametrize("text", ["Ann don't go", "Ann do not", "Well, Ann do not go", "do Ann"])
def test_tokens_that_are_not_the_text_are_joined_by_spaces(tmp_path: Path, text: str) -> None:
    path = conll(tmp_path, f"# text = {text}\nAnn\tB-PER\ndo\tO\nnot\tO\ngo\tO\n")
    [read_back] = read(path)
    assert read_back.text == "Ann do not go"
    assert spans(path) == [[("Ann", "PER")]]


def test_columns_stand_where_they_are_said_to(tmp_path: Path) -> None:
    path = conll(tmp_path, "1 I-PER Ann x\n2 B-PER Lee x\n")
    assert spans(path, Columns(2, 1, Scheme.IOB1)) == [[("Ann", "PER"), ("Lee", "PER")]]


@given(
    st.lists(
        st.text(st.characters(exclude_categories=("Z", "C")), min_size=1, max_size=4),
        min_size=1,
        max_size=8,
    ),
    st.data(),
)
def test_offsets_of_a_span_are_those_of_its_tokens(tokens: list[str], data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(tokens) - 1))
    end = data.draw(st.integers(start + 1, len(tokens)))
    tags = ["O"] * len(tokens)
    tags[start:end] = ["B-PER", *["I-PER"] * (end - start - 1)]
    tagged = [Token("", token, tag) for token, tag in zip(tokens, tags, strict=True)]
    sentence = sentence_of("", "", tagged, Scheme.IOB2)
    (span,) = sentence.spans
    assert sentence.text[span.start : span.end] == " ".join(tokens[start:end])
    assert sentence.text.count(" ") == len(tokens) - 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("Ann B-PER\n\nand O\nLee I-PER\n", r":4: tag 'I-PER' after 'O': a span starts with B-PER"),
        ("Ann PER\n", r":1: tag 'PER' is none of O"),
        ("Ann O\nLee\n", r":2: 1 column\(s\)"),
        ("Ann\tO\n\tO\n", r":2: 2 column\(s\)"),
        ("-DOCSTART- O\n", r": holds no sentence"),
        ("\n\n", r": holds no example"),
    ],
)
def test_a_wrong_line_of_columns_is_named(tmp_path: Path, content: str, reason: str) -> None:
    with pytest.raises(DataInvalid, match=rf"train\.conll{reason}"):
        read(conll(tmp_path, content))


def line(**fields: object) -> str:
    return json.dumps(fields)


def marked(text: str, *ends: tuple[int, int]) -> str:
    return line(text=text, spans=[{"start": s, "end": e, "label": "PER"} for s, e in ends])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", ":2: not JSON: Expecting property name"),
        ("", ":2: not JSON"),
        ("3", ":2: not an object"),
        (line(spans=[]), ":2: no field 'text': add it"),
        (line(text="Ann"), ":2: no field 'spans'"),
        (line(text=3, spans=[]), ":2: text is not a string"),
        (line(text="Ann", spans={}), ":2: spans is not a list"),
        (line(text="Ann", spans=[3]), ":2: a span is not an object"),
        (
            line(text="A", spans=[{"start": True, "end": 1, "label": "PER"}]),
            ":2: start is not a whole number",
        ),
        (line(text="A", spans=[{"start": 0, "end": 1}]), ":2: no field 'label'"),
        (marked("Ann", (0, 4)), r":2: span \[0, 4\) is outside the text of 3 code points"),
        (marked("Ann", (-1, 2)), r":2: span \[-1, 2\) is outside"),
        (marked("Ann", (1, 1)), r":2: span \[1, 1\) is empty"),
        (marked("Ann B", (0, 3), (2, 5)), r":2: span \[2, 5\) overlaps the span before"),
        (marked("Ann B", (0, 4)), r":2: span \[0, 4\) has white space at an end"),
    ],
)
def test_a_wrong_line_of_json_is_named(tmp_path: Path, content: str, reason: str) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text(f"{marked('Ann', (0, 3))}\n{content}\n{marked('Ann')}\n")
    with pytest.raises(DataInvalid, match=rf"train\.jsonl{reason}"):
        read(path)


def test_half_an_emoji_is_named(tmp_path: Path) -> None:
    """JSON can write what no text holds, and what cuts tweets by UTF-16 units does."""
    path = tmp_path / "train.jsonl"
    path.write_text('{"text": "Ann", "spans": []}\n{"text": "cut \\ud83d", "spans": []}\n')
    with pytest.raises(DataInvalid, match=r"train\.jsonl:2: code point 4 is half of a surrogate"):
        read(path)


@pytest.mark.parametrize("name", ["train.jsonl", "train.conll"])
def test_a_line_in_another_encoding_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"Ann O\nLe\xe9 O\n")
    with pytest.raises(DataInvalid, match=rf"{name}:2: byte 0xe9 is not UTF-8"):
        read(path)


def test_a_byte_order_mark_is_no_part_of_the_first_token(tmp_path: Path) -> None:
    path = tmp_path / "train.conll"
    path.write_bytes(b"\xef\xbb\xbfAnn B-PER\n")
    assert spans(path) == [[("Ann", "PER")]]


def saved(folder: Path, tags: list[list[int]] | list[list[str]], names: list[str] | None) -> Path:
    feature = ClassLabel(names=names) if names else Value("string")
    tokens = [["Ann", "Lee", "Rome"][: len(row)] for row in tags]
    features = Features({"tokens": List(Value("string")), "ner_tags": List(feature)})
    path = folder / "train"
    Dataset.from_dict({"tokens": tokens, "ner_tags": tags}, features=features).save_to_disk(path)
    return path


def test_a_datasets_folder_names_its_tags(tmp_path: Path) -> None:
    path = saved(tmp_path, [[1, 2, 3], [0]], NAMES)
    first, second = read(path)
    assert first.spans == (LabelledSpan(0, 7, "PER"), LabelledSpan(8, 12, "LOC"))
    assert (second.text, second.spans) == ("Ann", ())


def test_a_datasets_folder_may_hold_tags_as_strings(tmp_path: Path) -> None:
    path = saved(tmp_path, [["S-PER", "O"]], None)
    assert spans(path, Columns(scheme=Scheme.IOBES)) == [[("Ann", "PER")]]


def test_a_wrong_row_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path, [[1], [0, 2]], NAMES)
    with pytest.raises(DataInvalid, match=r"train:row 1: token 1: tag 'I-PER' after 'O'"):
        read(path)


def test_a_tag_that_is_missing_is_named(tmp_path: Path) -> None:
    """A ClassLabel stores -1 where there is none; that is not the last name."""
    path = saved(tmp_path, [[1, -1]], NAMES)
    with pytest.raises(DataInvalid, match=r"train:row 0: tag -1 is none of the 5 names"):
        read(path)


def test_a_row_of_unequal_lengths_is_named(tmp_path: Path) -> None:
    path = tmp_path / "train"
    Dataset.from_dict({"tokens": [["Ann"]], "ner_tags": [["O", "O"]]}).save_to_disk(path)
    with pytest.raises(DataInvalid, match="row 0: 1 tokens and 2 tags"):
        read(path)


def test_a_datasets_folder_without_tags_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "train"
    Dataset.from_dict({"tokens": [["Ann"]]}).save_to_disk(path)
    with pytest.raises(DataInvalid, match="no column 'ner_tags' among"):
        read(path)


def test_numbers_without_names_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "train"
    Dataset.from_dict({"tokens": [["Ann"]], "ner_tags": [[0]]}).save_to_disk(path)
    with pytest.raises(DataInvalid, match="numbers without names: cast it to ClassLabel"):
        read(path)
