"""The ONNX file of a version folder: which one it is, and what it refers to outside of itself.

An ONNX file may say that its weights stand in other files; a path there could name any file of the
machine. The names are read from the protobuf's own structure, without building the model.

Source: onnx.proto (field numbers); the protobuf encoding (wire types).
"""

import mmap
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from inference.errors import ModelInvalid
from inference.folder_files import Listing

# In the order of preference. The quantized names are Optimum's and transformers.js's; where a
# folder holds several, the plain one is what its publisher measured.
FILE_NAMES = (
    "model.onnx",
    "model_quantized.onnx",
    "model_int8.onnx",
    "model_uint8.onnx",
    "model_q8.onnx",
    "model_optimized.onnx",
)
_FOLDERS = ("", "onnx/")

# Graphs nest in the branches of If and Loop; a deep nest is a parser's stack, not a classifier.
_MAX_DEPTH = 16
# protobuf's own limit for one message.
_MAX_BYTES = 2**31 - 1

_MODEL_GRAPH, _MODEL_FUNCTION = 7, 25
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_SPARSE = 1, 5, 15
_NODE_ATTRIBUTE, _FUNCTION_NODE, _FUNCTION_ATTRIBUTE = 5, 7, 11
_ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH, _ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS = 5, 6, 10, 11
_ATTRIBUTE_SPARSE, _ATTRIBUTE_SPARSES = 22, 23
_SPARSE_VALUES, _SPARSE_INDICES = 1, 2
_TENSOR_EXTERNAL = 13
_ENTRY_KEY, _ENTRY_VALUE = 1, 2

# Which fields of a message hold further messages, and of which kind.
_INSIDE: dict[str, dict[int, str]] = {
    "model": {_MODEL_GRAPH: "graph", _MODEL_FUNCTION: "function"},
    "function": {_FUNCTION_NODE: "node", _FUNCTION_ATTRIBUTE: "attribute"},
    "graph": {_GRAPH_NODE: "node", _GRAPH_INITIALIZER: "tensor", _GRAPH_SPARSE: "sparse"},
    "node": {_NODE_ATTRIBUTE: "attribute"},
    "attribute": {
        _ATTRIBUTE_TENSOR: "tensor",
        _ATTRIBUTE_TENSORS: "tensor",
        _ATTRIBUTE_GRAPH: "graph",
        _ATTRIBUTE_GRAPHS: "graph",
        _ATTRIBUTE_SPARSE: "sparse",
        _ATTRIBUTE_SPARSES: "sparse",
    },
    "sparse": {_SPARSE_VALUES: "tensor", _SPARSE_INDICES: "tensor"},
    "tensor": {_TENSOR_EXTERNAL: "entry"},
    "entry": {},
}
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_Buffer = mmap.mmap | bytes


def find(listing: Listing) -> str:
    """Names the ONNX file of a folder.

    Args:
        listing: of the folder.

    Raises:
        ModelInvalid: there is none.
    """
    for folder in _FOLDERS:
        for name in FILE_NAMES:
            if folder + name in listing.names:
                return folder + name
    raise ModelInvalid(f"no {' or '.join(FILE_NAMES[:2])}")


def check(folder: Path, name: str, listing: Listing) -> None:
    """Refuses a file whose weights stand outside of the folder, or that is no protobuf.

    Args:
        folder: the version folder.
        name: of the ONNX file in it.
        listing: of the folder.

    Raises:
        ModelInvalid: it is empty, too large, nested too deep or refers to a file outside.
    """
    if not 0 < listing.size_bytes(name) <= _MAX_BYTES:
        raise ModelInvalid(f"{name}: must hold from 1 to {_MAX_BYTES} bytes")
    with (
        (folder / name).open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        try:
            locations = set(_locations(content, 0, len(content), "model", 0))
        except (IndexError, ValueError, UnicodeDecodeError):
            raise ModelInvalid(f"{name}: onnxruntime cannot load it: not an ONNX file") from None
    for location in sorted(locations):
        path = PurePosixPath(location)
        found = str(PurePosixPath(name).parent / path)
        if path.is_absolute() or ".." in path.parts or found not in listing.names:
            raise ModelInvalid(
                f"{name}: its weights must stand in the folder, not at {location[:200]}"
            )


def _locations(content: _Buffer, start: int, end: int, kind: str, depth: int) -> Iterator[str]:
    """The external files that a message names, and those inside of it."""
    if depth > 4 * _MAX_DEPTH:  # graph, node, attribute, graph: a level of graphs is three messages
        raise ModelInvalid("its graphs are nested too deep")
    inside = _INSIDE[kind]
    for field, first, last in _fields(content, start, end):
        inner = inside.get(field)
        if inner == "entry":
            key, value = _entry(content, first, last)
            if key == "location":
                yield value
        elif inner is not None:
            yield from _locations(content, first, last, inner, depth + 1)


def _entry(content: _Buffer, start: int, end: int) -> tuple[str, str]:
    parts = {field: content[a:b].decode("utf-8") for field, a, b in _fields(content, start, end)}
    return parts.get(_ENTRY_KEY, ""), parts.get(_ENTRY_VALUE, "")


def _fields(content: _Buffer, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The fields of a message that hold bytes: number, start and end of each.

    Raises:
        ValueError: it is no protobuf message.
    """
    at = start
    while at < end:
        tag, at = _varint(content, at, end)
        wire = tag & 7
        if wire == _VARINT:
            _, at = _varint(content, at, end)
        elif wire == _FIXED64:
            at += 8
        elif wire == _FIXED32:
            at += 4
        elif wire == _BYTES:
            size, at = _varint(content, at, end)
            if size > end - at:
                raise ValueError("a field is longer than its message")
            yield tag >> 3, at, at + size
            at += size
        else:
            raise ValueError("unknown wire type")
    if at != end:
        raise ValueError("a field is longer than its message")


def _varint(content: _Buffer, at: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            break
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number without an end")
