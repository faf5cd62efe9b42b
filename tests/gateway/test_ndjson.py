from hypothesis import given
from hypothesis import strategies as st

from gateway.ndjson import Line, LineSplitter

_LIMIT = 8


def _split(chunks: list[bytes], limit: int = _LIMIT) -> list[Line]:
    splitter = LineSplitter(limit)
    lines = [line for chunk in chunks for line in splitter.feed(chunk)]
    return [*lines, *splitter.finish()]


def test_lines_end_with_a_line_feed_or_with_the_stream() -> None:
    assert _split([b"a\nb\r\nc"]) == [Line(1, b"a"), Line(2, b"b"), Line(3, b"c")]
    assert _split([b"a\n"]) == [Line(1, b"a")]
    assert _split([]) == []


def test_lines_of_white_space_are_counted_and_passed_over() -> None:
    assert _split([b"\n \r\n\t\na\n \n"]) == [Line(4, b"a")]


def test_a_line_over_the_limit_is_reported_and_not_held() -> None:
    splitter = LineSplitter(_LIMIT)
    for _ in range(1_000):
        assert list(splitter.feed(b"x" * 1_000)) == []
        assert len(splitter._begun) == 0
    assert list(splitter.feed(b"x\nok\n")) == [Line(1, None), Line(2, b"ok")]
    assert list(splitter.finish()) == []


def test_the_limit_counts_the_line_without_its_end() -> None:
    assert _split([b"12345678\r\n"]) == [Line(1, b"12345678")]
    assert _split([b"12345678\r", b"\n123456789\n"]) == [Line(1, b"12345678"), Line(2, None)]
    assert _split([b"123456789"]) == [Line(1, None)]


@given(st.lists(st.text("ab \n\r", max_size=12).map(str.encode), max_size=6))
def test_it_does_not_matter_where_chunks_end(chunks: list[bytes]) -> None:
    whole = b"".join(chunks)
    expected = [
        Line(number, line if len(line) <= _LIMIT else None)
        for number, line in enumerate(
            (line.removesuffix(b"\r") for line in whole.split(b"\n")), start=1
        )
        if len(line) > _LIMIT or line.strip()
    ]
    byte_by_byte = [bytes([byte]) for byte in whole]
    assert _split(chunks) == _split([whole]) == _split(byte_by_byte) == expected
