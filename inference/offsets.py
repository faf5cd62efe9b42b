"""Offsets in the unit that a caller counts in."""

from dataclasses import replace

import numpy as np

from inference.core import Entity, OffsetUnit


def convert(entities: list[Entity], text: str, unit: OffsetUnit) -> list[Entity]:
    """Gives entities with code point offsets their offsets in another unit.

    Args:
        entities: entities of `text`, offsets in code points.
        text: the text, without lone surrogates.
        unit: what the new offsets count.

    Returns:
        The same entities, offsets in `unit`.
    """
    if unit is OffsetUnit.CODEPOINT or not entities or text.isascii():
        return entities
    codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    # Above U+FFFF UTF-16 takes two units; UTF-8 takes 1 to 4 bytes (RFC 3629, section 3).
    widths = 1 + (codes > 0xFFFF).astype(np.int64)
    if unit is OffsetUnit.BYTE:
        widths += (codes > 0x7F).astype(np.int64) + (codes > 0x7FF)
    before = np.concatenate(([0], np.cumsum(widths))).tolist()
    return [replace(e, start=before[e.start], end=before[e.end]) for e in entities]
