"""Where sentences begin."""

import textwrap
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.sentences import line_starts, sentence_starts

_WRAPPED = """\
The committee met on Tuesday to discuss the opening of an office in New
York City, which the chairman had announced. Nobody from the office of
Angela Merkel came."""


def sentences(text: str) -> list[str]:
    """The sentences of a text, white space around them left out."""
    borders = [0, *sentence_starts(text), len(text)]
    return [text[start:end].strip() for start, end in pairwise(borders)]


@pytest.mark.parametrize(
    "expected",
    [
        ["He left.", "She stayed."],
        ["He left?", "She stayed!"],
        ['He said: "Go."', "She went."],
        ["He left (at last.)", "She stayed"],
        ["Really?!", "Yes\u2026", "No"],
        ["Mr. Smith met J. Doe of Acme Inc. in Paris."],
        ["The U.S. Army came."],
        ["It costs approx. three euros."],
        ["See nerve.py for 3.5 of them."],
        ["..."],
        ["No end"],
    ],
    ids=lambda expected: expected[0],
)
def test_sentences_begin_where_a_reader_would_say(expected: list[str]) -> None:
    assert sentences(" ".join(expected)) == expected


@pytest.mark.parametrize(
    "line_break", ["\n", "\r\n", "\r", "\n\n", " \n \n ", "\u2028", "\u2029"], ids=ascii
)
def test_lines_are_sentences(line_break: str) -> None:
    assert sentences(f"Tim Cook{line_break}Apple{line_break}") == ["Tim Cook", "Apple"]


def test_a_line_that_begins_in_lower_case_goes_on() -> None:
    assert len(sentences("the house of\nlords")) == 1


def test_a_wrapped_paragraph_is_not_cut_at_its_line_breaks() -> None:
    first, second = sentences(_WRAPPED)
    assert "New\nYork City" in first
    assert "Angela Merkel" in second


def lines(text: str) -> list[str]:
    """What no name stands across, white space around it left out."""
    return [text[a:b].strip() for a, b in pairwise([0, *line_starts(text), len(text)])]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Thanks. \nPhillip\r\nMery, this is better",
            ["Thanks.", "Phillip", "Mery, this is better"],
        ),
        ("\n Tim Cook\n", ["", "Tim Cook"]),
        ("Thanks. Phillip", ["Thanks. Phillip"]),
        ("the house of\nlords", ["the house of\nlords"]),
        ("thanks, phillip\n\nmery", ["thanks, phillip", "mery"]),
        ("a letter to Mr. \n Smith", ["a letter to Mr. \n Smith"]),
        ("a letter to Mr.\n\nSmith", ["a letter to Mr.", "Smith"]),
        ("Tim\u2028Cook\rApple\u2029 Seoul", ["Tim", "Cook", "Apple", "Seoul"]),
        ("", [""]),
        (" \n ", [""]),
    ],
    ids=ascii,
)
def test_a_line_begins_anew_where_a_reader_would_say(text: str, expected: list[str]) -> None:
    assert lines(text) == expected


def test_a_line_of_a_wrapped_paragraph_goes_on() -> None:
    assert lines(_WRAPPED) == [_WRAPPED]
    assert lines(f"{_WRAPPED}\n\n{_WRAPPED}") == [_WRAPPED, _WRAPPED]


@pytest.mark.parametrize("width", [25, 32, 45, 59, 72, 100])
def test_a_column_is_told_from_a_list_by_its_full_lines(width: int) -> None:
    column = textwrap.fill(" ".join(_WRAPPED.split()), width)
    assert column.count("\n") >= 1
    assert lines(column) == [column]
    names = ["Angela Merkel", "Tim Cook", "International Business Machines", "IBM", "New York"]
    assert lines("\n".join(names)) == names


def test_full_width_marks_need_no_space() -> None:
    assert sentences("\u6771\u4eac\u3002\u6b21") == ["\u6771\u4eac\u3002", "\u6b21"]


@given(st.text(st.sampled_from("aB .!?\n\r\"'\u3002\u2026\u2028"), max_size=60) | st.text())
def test_starts_ascend_and_stand_at_visible_characters(text: str) -> None:
    starts = list(sentence_starts(text))
    assert starts == sorted(set(starts))
    anew = line_starts(text)
    assert anew == sorted(set(anew))
    for start in (*starts, *anew):
        assert 0 < start < len(text)
        assert not text[start].isspace()


@pytest.mark.parametrize(
    "unit", [".", " ", "\n", ". ", '."', "a.", "!?", "\u3002", "A\n", "A.\n", " \n"]
)
@pytest.mark.timeout(15)
def test_no_text_stops_the_service(unit: str) -> None:
    """A pattern that scans a run again from each of its places would take hours here."""
    text = unit * (200_000 // len(unit)) + "x"
    assert len(list(sentence_starts(text))) <= 200_000
    assert len(line_starts(text)) <= 200_000
