"""Header fields, against the examples of RFC 7541, appendix C."""

import pytest

from benchmarks import hpack
from benchmarks.protocol import ProtocolBroken


def test_a_field_is_written_as_in_the_example_c_2_1() -> None:
    example = bytes.fromhex("400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572")
    assert hpack.first_block([("custom-key", "custom-header")]) == example


def test_fields_are_read_as_in_the_examples_c_2_2_to_c_2_4() -> None:
    path = bytes.fromhex("040c 2f73 616d 706c 652f 7061 7468")
    secret = bytes.fromhex("1008 7061 7373 776f 7264 0673 6563 7265 74")
    assert hpack.read(path + secret + b"\x82") == {
        ":path": "/sample/path",
        "password": "secret",
        ":method": "GET",
    }


def test_the_fields_of_a_first_block_are_a_byte_each_later() -> None:
    """The first one written is the oldest in the peer's table, so it has the highest index."""
    fields = [("a", "1"), ("b", "2"), ("c", "3")]
    assert hpack.later_block(fields) == bytes((0x80 | 64, 0x80 | 63, 0x80 | 62))


@pytest.mark.parametrize("length", [1, 126, 127, 128, 255, 1337, 70_000])
def test_long_values_are_read_as_they_were_written(length: int) -> None:
    assert hpack.read(hpack.literal("name", "v" * length)) == {"name": "v" * length}


def test_a_change_of_the_table_size_is_skipped() -> None:
    assert hpack.read(b"\x20" + hpack.literal("grpc-status", "0")) == {"grpc-status": "0"}


def test_a_value_in_huffman_code_is_left_out() -> None:
    example = bytes.fromhex("4186 a0e4 1d13 9d09")
    assert hpack.read(example + hpack.literal("a", "b")) == {":authority": "", "a": "b"}


@pytest.mark.parametrize("block", [b"\xbe", b"\x80", hpack.literal("name", "value")[:-1], b"\x40"])
def test_what_it_cannot_read_is_an_error(block: bytes) -> None:
    with pytest.raises(ProtocolBroken):
        hpack.read(block)
