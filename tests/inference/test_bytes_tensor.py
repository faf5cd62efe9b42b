import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.errors import Reason, RequestInvalid
from inference.servicers.bytes_tensor import pack, unpack


@settings(deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=8))
def test_what_is_packed_is_unpacked(elements: list[bytes]) -> None:
    assert unpack(pack(elements), len(elements)) == elements


def test_the_length_is_four_bytes_little_endian() -> None:
    assert pack([b"ab", b""]) == b"\x02\x00\x00\x00ab\x00\x00\x00\x00"


@pytest.mark.parametrize(
    ("raw", "count"),
    [
        (b"", 1),
        (b"\x01", 1),
        (b"\x01\x00\x00\x00", 1),
        (b"\xff\xff\xff\xffab", 1),
        (b"\x00\x00\x00\x80", 1),
        (b"\x00\x00\x00\x00", 2),
        (b"\x01\x00\x00\x00ab", 1),
        (b"\x00\x00\x00\x00", 0),
    ],
    ids=[
        "nothing",
        "half a length",
        "a length and no bytes",
        "a length of 4 GiB",
        "a length that is negative as signed",
        "fewer elements than the shape says",
        "bytes left over",
        "more elements than the shape says",
    ],
)
def test_a_tensor_that_does_not_fit_its_shape_is_refused(raw: bytes, count: int) -> None:
    with pytest.raises(RequestInvalid) as caught:
        unpack(raw, count)
    assert caught.value.reason is Reason.TENSOR_INVALID


@settings(deadline=None)
@given(st.binary(max_size=60), st.integers(0, 5))
def test_any_bytes_are_unpacked_or_refused(raw: bytes, count: int) -> None:
    try:
        elements = unpack(raw, count)
    except RequestInvalid:
        return
    assert (len(elements), pack(elements)) == (count, raw)
