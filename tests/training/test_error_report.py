"""The page of errors."""

from html.parser import HTMLParser

import pytest

from inference.core import Entity
from training.data import Corpus, Example, SourceSet, Span
from training.error_report import Kind, error_report, mistakes
from training.evaluation import Findings

TEXT = "Angela Merkel met Tim Cook"
_TYPES = ("PER", "ORG")
_SOURCE = SourceSet("tiny", "Tiny", "CC0-1.0", frozenset({"LOC", "MISC"}))


def found(start: int, end: int, label: str = "PER") -> Entity:
    return Entity(TEXT[start:end], label, start, end, 0.875)


@pytest.mark.parametrize(
    ("spans", "entities", "kinds"),
    [
        ([Span(0, 13, "PER")], [found(0, 13)], []),
        ([Span(0, 13, "PER")], [], [Kind.MISSED]),
        ([], [found(0, 13)], [Kind.SPURIOUS]),
        ([Span(0, 13, "ORG")], [found(0, 13)], [Kind.WRONG_TYPE]),
        ([Span(0, 13, "PER")], [found(0, 6)], [Kind.WRONG_BOUNDARY]),
        ([Span(0, 13, "ORG")], [found(0, 6)], [Kind.WRONG_BOUNDARY]),
        ([Span(0, 6, "PER"), Span(7, 13, "PER")], [found(0, 13)], [Kind.WRONG_BOUNDARY]),
        ([Span(0, 6, "PER")], [found(18, 26)], [Kind.MISSED, Kind.SPURIOUS]),
        ([Span(0, 6, "LOC"), Span(7, 13, None)], [found(14, 17, "MISC")], []),
    ],
)
def test_each_error_has_its_kind(
    spans: list[Span], entities: list[Entity], kinds: list[Kind]
) -> None:
    example = Example("1", TEXT, tuple(spans))
    assert [mistake.kind for mistake in mistakes(example, entities, _TYPES)] == kinds


def test_errors_come_in_text_order_with_what_belongs_together() -> None:
    spans = (Span(0, 6, "PER"), Span(18, 26, "ORG"))
    right, boundary = mistakes(Example("1", TEXT, spans), [found(7, 13), found(18, 21)], _TYPES)[1:]
    assert (right.kind, right.gold, right.found) == (Kind.SPURIOUS, None, found(7, 13))
    assert (boundary.gold, boundary.found) == (spans[1], found(18, 21))


class Page(HTMLParser):
    """What a browser would make of a page: its elements and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_shows_the_sentence_with_both_sides_marked() -> None:
    example = Example("1", TEXT, (Span(0, 13, "PER"),))
    html = error_report("model.onnx", [Findings(Corpus(_SOURCE, "", [example]), [[found(0, 6)]])])
    assert '<mark class="wrong marked">Angela Merkel<sub>PER</sub></mark> met Tim Cook' in html
    assert '<mark class="wrong found">Angela<sub>PER 0.88</sub></mark> Merkel met' in html
    assert "<summary>wrong boundary (1)</summary>" in html
    assert "<tr><th>tiny</th><td>0</td><td>0</td><td>0</td><td>1</td></tr>" in html
    assert '<article data-set="tiny">' in html


def test_nothing_of_a_text_is_taken_for_markup() -> None:
    text = '<script>alert("1 & 2")</script> <img src=x onerror=alert(1)>'
    source = SourceSet('<i>"', "", "")
    example = Example("<b>", text, (Span(0, 8, "PER"),))
    entity = Entity(text[1:9], "ORG", 1, 9, 0.5)
    findings = Findings(Corpus(source, "", [example]), [[entity]])
    empty = error_report("m", [Findings(Corpus(_SOURCE, "", []), [])])
    page = Page(error_report("<u>m", [findings]))
    assert page.tags.count("script") == Page(empty).tags.count("script")
    assert not {"img", "i", "u"} & set(page.tags)
    assert "alert(1)>" in page.text


def test_the_page_needs_no_other_file() -> None:
    html = error_report("m", [Findings(Corpus(_SOURCE, "", []), [])])
    assert "http" not in html
    assert "src=" not in html
    assert "{" + "model" + "}" not in html
