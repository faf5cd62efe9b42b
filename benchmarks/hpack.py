"""Header fields as HTTP/2 writes them, as far as gRPC needs: no Huffman codes are written.

The reader has no dynamic table: whoever uses it announces a table of size 0, so that its peer
never refers to one. Then equal headers are equal bytes.

Source: RFC 7541; the static table is its appendix A.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from benchmarks.protocol import ProtocolBroken

STATIC_NAMES: Final = (
    ":authority :method :method :path :path :scheme :scheme :status :status :status :status"
    " :status :status :status accept-charset accept-encoding accept-language accept-ranges accept"
    " access-control-allow-origin age allow authorization cache-control content-disposition"
    " content-encoding content-language content-length content-location content-range content-type"
    " cookie date etag expect expires from host if-match if-modified-since if-none-match if-range"
    " if-unmodified-since last-modified link location max-forwards proxy-authenticate"
    " proxy-authorization range referer refresh retry-after server set-cookie strict-transport-"
    "security transfer-encoding user-agent vary via www-authenticate"
).split()
_STATIC_VALUES: Final[Mapping[int, str]] = {
    2: "GET", 3: "POST", 4: "/", 5: "/index.html", 6: "http", 7: "https", 8: "200", 9: "204",
    10: "206", 11: "304", 12: "400", 13: "404", 14: "500", 16: "gzip, deflate",
}  # fmt: skip
_FIRST_DYNAMIC = len(STATIC_NAMES) + 1

_INDEXED = 0x80
_LITERAL_KEPT = 0x40
_TABLE_SIZE = 0x20
_HUFFMAN = 0x80


def first_block(fields: Sequence[tuple[str, str]]) -> bytes:
    """Writes fields so that the peer keeps them in its table.

    Args:
        fields: none of them whole in the static table.
    """
    return b"".join(
        _integer(_LITERAL_KEPT, 6, 0) + _string(name) + _string(value) for name, value in fields
    )


def later_block(fields: Sequence[tuple[str, str]]) -> bytes:
    """Writes the fields of `first_block` again: one byte each, from the peer's table."""
    newest = _FIRST_DYNAMIC + len(fields) - 1
    return b"".join(_integer(_INDEXED, 7, newest - i) for i in range(len(fields)))


def static(index: int) -> bytes:
    """Writes a field that stands whole in the static table."""
    return _integer(_INDEXED, 7, index)


def literal(name: str, value: str) -> bytes:
    """Writes a field that the peer does not keep."""
    return _integer(0, 4, 0) + _string(name) + _string(value)


def read(block: bytes) -> dict[str, str]:
    """Reads a block of fields; a value in Huffman code is given as "".

    Raises:
        ProtocolBroken: it refers to a dynamic table, or ends too early.
    """
    fields: dict[str, str] = {}
    at = 0
    try:
        while at < len(block):
            first = block[at]
            if first & _INDEXED:
                index, at = _read_integer(block, at, 7)
                fields[_static_name(index)] = _STATIC_VALUES.get(index, "")
            elif first & _LITERAL_KEPT == 0 and first & _TABLE_SIZE:
                _, at = _read_integer(block, at, 5)
            else:
                index, at = _read_integer(block, at, 6 if first & _LITERAL_KEPT else 4)
                if index:
                    name = _static_name(index)
                else:
                    name, at = _read_string(block, at)
                fields[name], at = _read_string(block, at)
    except IndexError:
        raise ProtocolBroken("a block of header fields ends too early") from None
    return fields


def _static_name(index: int) -> str:
    if not 0 < index < _FIRST_DYNAMIC:
        raise ProtocolBroken("a header field refers to a dynamic table, but its size is 0")
    return STATIC_NAMES[index - 1]


def _integer(flags: int, prefix_bits: int, value: int) -> bytes:
    most = (1 << prefix_bits) - 1
    if value < most:
        return bytes((flags | value,))
    encoded = bytearray((flags | most,))
    value -= most
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _string(text: str) -> bytes:
    encoded = text.encode("ascii")
    return _integer(0, 7, len(encoded)) + encoded


def _read_integer(block: bytes, at: int, prefix_bits: int) -> tuple[int, int]:
    most = (1 << prefix_bits) - 1
    value = block[at] & most
    at += 1
    if value < most:
        return value, at
    shift = 0
    while True:
        byte = block[at]
        at += 1
        value += (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value, at


def _read_string(block: bytes, at: int) -> tuple[str, int]:
    is_huffman = block[at] & _HUFFMAN
    length, at = _read_integer(block, at, 7)
    end = at + length
    if end > len(block):
        raise IndexError
    return "" if is_huffman else block[at:end].decode("latin-1"), end
