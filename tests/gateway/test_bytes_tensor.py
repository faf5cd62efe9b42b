import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import bytes_tensor
from gateway.errors import GatewayError, Reason
from inference.servicers import bytes_tensor as over_grpc


def test_the_length_is_four_bytes_little_endian() -> None:
    raw = b"\x02\x00\x00\x00ab\x00\x00\x00\x00"
    assert bytes_tensor.pack([b"ab", b""]) == raw
    assert bytes_tensor.unpack(raw, 2) == [b"ab", b""]


@settings(deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=8))
def test_both_services_have_the_same_form(elements: list[bytes]) -> None:
    assert bytes_tensor.pack(elements) == over_grpc.pack(elements)
    assert bytes_tensor.unpack(over_grpc.pack(elements), len(elements)) == elements


@pytest.mark.parametrize(
    ("raw", "count"),
    [
        (b"", 1),
        (b"\x01\x00\x00\x00", 1),
        (b"\xff\xff\xff\xffab", 1),
        (b"\x01\x00\x00\x00ab", 1),
        (b"\x00\x00\x00\x00", 0),
    ],
)
def test_a_tensor_that_does_not_fit_its_shape_is_refused(raw: bytes, count: int) -> None:
    with pytest.raises(GatewayError) as caught:
        bytes_tensor.unpack(raw, count)
    assert caught.value.reason is Reason.TENSOR_INVALID
