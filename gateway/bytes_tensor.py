"""BYTES tensors in their binary form: each element its length, then its bytes.

Source: the binary tensor data extension of the Open Inference Protocol; the length is an unsigned
integer of 4 bytes, little-endian.
"""

from collections.abc import Iterable
from typing import Final

from gateway.errors import GatewayError, Reason

_LENGTH_BYTES: Final = 4


def unpack(raw: bytes, count: int) -> list[bytes]:
    """Take a binary tensor apart.

    Args:
        raw: the tensor.
        count: elements that its shape says; no more are looked for.

    Raises:
        GatewayError: TENSOR_INVALID; the bytes are not exactly so many elements.
    """
    elements = []
    start = 0
    for index in range(count):
        first = start + _LENGTH_BYTES
        end = first + int.from_bytes(raw[start:first], "little")
        if first > len(raw) or end > len(raw):
            raise GatewayError(
                Reason.TENSOR_INVALID,
                f"the binary data ends within element {index} of {count}: send each element as its"
                " length in 4 bytes, little-endian, then its bytes",
            )
        elements.append(raw[first:end])
        start = end
    if start != len(raw):
        raise GatewayError(
            Reason.TENSOR_INVALID,
            f"the binary data goes on for {len(raw) - start} bytes after the {count} elements that"
            " the shape says",
        )
    return elements


def pack(elements: Iterable[bytes]) -> bytes:
    """Make a binary tensor of its elements."""
    parts = []
    for element in elements:
        parts += [len(element).to_bytes(_LENGTH_BYTES, "little"), element]
    return b"".join(parts)
