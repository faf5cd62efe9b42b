"""How much memory a version is taken to hold."""

import pytest

from inference.folder_files import File, Listing
from inference.version_folder import memory_bytes

_PLAIN = {"model.onnx": 1_000, "tokenizer.json": 10, "config.json": 1}


def size(files: dict[str, int]) -> int:
    """Of a folder with these files."""
    return memory_bytes(Listing(tuple(File(name, n, 0, 0) for name, n in sorted(files.items()))))


@pytest.mark.parametrize(
    "name", ["model.onnx_data", "model.onnx.data", "weights.bin", "bert.layer.0.weight", "w"]
)
def test_weights_beside_the_file_count_whatever_they_are_called(name: str) -> None:
    """A trial of the version may take no more memory than its size explains."""
    inside = size(_PLAIN | {"model.onnx": 9_000})
    assert size(_PLAIN | {name: 8_000}) == inside


@pytest.mark.parametrize(
    "name",
    [
        "model_quantized.onnx",
        "model_quantized.onnx_data",
        "other.onnx",
        "onnx/model.onnx",
        "onnx/weights.bin",
        "model.safetensors",
        "pytorch_model.bin",
        "MODEL_CARD.md",
        "vocab.txt",
    ],
)
def test_what_is_not_loaded_does_not_count(name: str) -> None:
    assert size(_PLAIN | {name: 8_000}) == size(_PLAIN)


def test_the_files_of_a_folder_below_count_with_it() -> None:
    files = {"tokenizer.json": 10, "config.json": 1, "model.safetensors": 50, "vocab.txt": 7}
    below = {"onnx/model_quantized.onnx": 1_000, "onnx/model_fp16.onnx": 4_000, "onnx/data": 500}
    assert size(files | below) == size(_PLAIN | {"model.onnx": 1_500})
