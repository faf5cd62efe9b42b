"""Sentences with other names in them."""

import random

from hypothesis import given
from hypothesis import strategies as st

from training.data import Example, Span
from training.mention_replacement import mentions_of, with_mentions_replaced

TEXT = "Angela Merkel met Tim Cook of Apple in Seoul on a Monday."
SPANS = (Span(0, 13, "PER"), Span(18, 26, "PER"), Span(30, 35, "ORG"), Span(50, 56, None))
EXAMPLE = Example("1", TEXT, SPANS, frozenset({"MISC"}))
MENTIONS = {"PER": ["Ada", "Jean-Luc Godard"], "ORG": ["the United Nations"], "LOC": ["Rome"]}


@given(st.integers())
def test_what_is_not_a_name_stays_and_every_span_holds_a_name_of_its_type(seed: int) -> None:
    changed = with_mentions_replaced(EXAMPLE, MENTIONS, 1.0, random.Random(seed))  # noqa: S311
    rest = changed.text
    for span, old in reversed(list(zip(changed.spans, SPANS, strict=True))):
        name, before = changed.text[span.start : span.end], TEXT[old.start : old.end]
        assert span.label == old.label
        assert name == before or name in MENTIONS[str(span.label)]
        rest = rest[: span.start] + before + rest[span.end :]
    assert rest == TEXT
    assert changed.unlabelled_types == EXAMPLE.unlabelled_types


def test_a_mention_without_a_type_is_never_replaced() -> None:
    for seed in range(50):
        changed = with_mentions_replaced(EXAMPLE, MENTIONS, 1.0, random.Random(seed))  # noqa: S311
        span = changed.spans[-1]
        assert changed.text[span.start : span.end] == "Monday"


def test_some_names_are_replaced_and_a_share_of_none_replaces_none() -> None:
    def texts(share: float) -> set[str]:
        rng = random.Random(3)  # noqa: S311
        return {with_mentions_replaced(EXAMPLE, MENTIONS, share, rng).text for _ in range(50)}

    assert len(texts(1.0)) > 5
    assert texts(0.0) == {TEXT}


def test_mentions_are_counted_by_type_as_often_as_they_occur() -> None:
    assert mentions_of([EXAMPLE, EXAMPLE]) == {
        "PER": ["Angela Merkel", "Tim Cook"] * 2,
        "ORG": ["Apple"] * 2,
    }
