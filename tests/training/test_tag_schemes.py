"""Tags and the spans that they mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.readers.tag_schemes import Scheme, TagInvalid, TokenSpan, spans_of


@st.composite
def sentences(draw: st.DrawFn) -> tuple[int, list[TokenSpan]]:
    """Spans apart from each other, often touching, and the number of tokens."""
    lengths = draw(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3)), max_size=5))
    spans = []
    end = 0
    for gap, length in lengths:
        label = draw(st.sampled_from(["PER", "LOC", "work-of-art"]))
        spans.append(TokenSpan(end + gap, end + gap + length, label))
        end += gap + length
    return end + draw(st.integers(0, 2)), spans


def tags_of(n_tokens: int, spans: list[TokenSpan], scheme: Scheme) -> list[str]:
    """The tags that mean these spans."""
    tags = ["O"] * n_tokens
    before = TokenSpan(-1, -1, "")
    for span in spans:
        more = span.end - span.start - 1
        prefixes = "B" + "I" * more
        if scheme is Scheme.IOB1 and (before.end, before.label) != (span.start, span.label):
            prefixes = "I" + "I" * more
        if scheme is Scheme.IOBES:
            prefixes = "B" + "I" * (more - 1) + "E" if more else "S"
        tags[span.start : span.end] = [f"{prefix}-{span.label}" for prefix in prefixes]
        before = span
    return tags


@given(sentences(), st.sampled_from(Scheme))
def test_tags_give_back_their_spans(sentence: tuple[int, list[TokenSpan]], scheme: Scheme) -> None:
    n_tokens, spans = sentence
    tags = tags_of(n_tokens, spans, scheme)
    assert len(tags) == n_tokens
    assert spans_of(tags, scheme) == spans


@pytest.mark.parametrize(
    ("scheme", "tags"),
    [
        (Scheme.IOB1, "I-PER I-PER B-PER I-LOC O"),
        (Scheme.IOB2, "B-PER I-PER B-PER B-LOC O"),
        (Scheme.IOBES, "B-PER E-PER S-PER S-LOC O"),
    ],
)
def test_each_scheme_parts_touching_spans_in_its_way(scheme: Scheme, tags: str) -> None:
    spans = [TokenSpan(0, 2, "PER"), TokenSpan(2, 3, "PER"), TokenSpan(3, 4, "LOC")]
    assert spans_of(tags.split(), scheme) == spans


def test_last_and_unit_are_other_names_in_iobes() -> None:
    assert spans_of("B-PER L-PER U-LOC".split(), Scheme.IOBES) == [
        TokenSpan(0, 2, "PER"),
        TokenSpan(2, 3, "LOC"),
    ]


@pytest.mark.parametrize(
    ("scheme", "tags", "index", "reason"),
    [
        (Scheme.IOB2, "O I-PER", 1, "tag 'I-PER' after 'O': a span starts with B-PER"),
        (Scheme.IOB2, "I-PER", 0, "at the start of a sentence.*if the file is IOB1, say so"),
        (Scheme.IOB2, "B-LOC I-PER", 1, "tag 'I-PER' after 'B-LOC'"),
        (Scheme.IOB2, "O S-PER", 1, "tag 'S-PER' is none of O, I-TYPE, B-TYPE; if.*IOBES"),
        (Scheme.IOB2, "PER", 0, "tag 'PER' is none of O"),
        (Scheme.IOB1, "B-", 0, "tag 'B-' is none of O"),
        (Scheme.IOBES, "O E-PER", 1, "tag 'E-PER' after 'O'"),
        (Scheme.IOBES, "S-PER I-PER", 1, "tag 'I-PER' after 'S-PER'"),
        (Scheme.IOBES, "B-PER O", 0, "tag 'B-PER' ends a span: write S-PER"),
        (Scheme.IOBES, "B-PER I-PER", 1, "tag 'I-PER' ends a span: write E-PER"),
        (Scheme.IOBES, "B-PER B-PER E-PER", 0, "tag 'B-PER' ends a span: write S-PER"),
    ],
)
def test_a_broken_sequence_is_named_with_its_token(
    scheme: Scheme, tags: str, index: int, reason: str
) -> None:
    with pytest.raises(TagInvalid, match=reason) as broken:
        spans_of(tags.split(), scheme)
    assert broken.value.index == index
