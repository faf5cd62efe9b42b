"""What the labels of a model mean: entity types, and where in an entity a word stands.

| scheme | a word alone | first | inside | last |
|---|---|---|---|---|
| BIO (IOB2) | B- | B- | I- | I- |
| BIOES | S- | B- | I- | E- |
| BILOU | U- | B- | I- | L- |
| IO | I- | I- | I- | I- |
| plain | PER | PER | PER | PER |

E-, S-, L- and U- are read as such only beside a B- and an E- or L- of one type, so that a plain
label "S-BAHN" keeps its name. Labels may stand in any order.

Source: Ramshaw and Marcus (1995) for BIO; Ratinov and Roth (2009) for BILOU.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

OUTSIDE = "O"
_FIRST, _INSIDE = "B-", "I-"
# The prefixes of the last word and of a word alone, by scheme.
_CLOSING = (("E-", "S-"), ("L-", "U-"))


class Tag(NamedTuple):
    """What a label says of a word."""

    begins: bool  # an entity
    label: str  # entity type; "O" outside
    ends: bool = False  # the entity: no word may continue it


def read_tags(labels: Sequence[str]) -> list[Tag]:
    """Reads a model's labels.

    Args:
        labels: by id.
    """
    known = set(labels)
    closing = [pair for pair in _CLOSING if _uses(known, pair[0])]
    return [_tag(label, closing) for label in labels]


def transitions(tags: Sequence[Tag]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """What may follow what, bool [from, to], and what may come first, bool [labels].

    An entity that has begun may end at any word: a model that misses its E- has found it
    nevertheless.
    """
    beginnings = {tag.label for tag in tags if tag.begins}
    # In a scheme without a B- for its type an I- may stand anywhere (IO, IOB1).
    may_start = np.array([tag.begins or tag.label not in beginnings for tag in tags])
    continues = np.array([[a.label == b.label and not a.ends for b in tags] for a in tags])
    return may_start[None, :] | continues, may_start


def _uses(labels: set[str], last: str) -> bool:
    types = {label[2:] for label in labels if label.startswith(last)}
    return any(_FIRST + kind in labels for kind in types)


def _tag(label: str, closing: Sequence[tuple[str, str]]) -> Tag:
    prefix, kind = label[:2], label[2:]
    if prefix in (_FIRST, _INSIDE):
        return Tag(begins=prefix == _FIRST, label=kind)
    for last, alone in closing:
        if prefix in (last, alone):
            return Tag(begins=prefix == alone, label=kind, ends=True)
    return Tag(begins=False, label=label)
