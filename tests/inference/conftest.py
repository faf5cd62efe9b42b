"""The tiny model as fixtures."""

from pathlib import Path

import pytest

from inference.decoding import Decoder
from inference.repository import Model
from inference.runtime import Session
from inference.tokenization import Tokenizer
from tests.tiny_model import LABELS, WINDOW_TOKENS, rust_tokenizer, write_version


@pytest.fixture
def repository_folder(tmp_path: Path) -> Path:
    """A model repository that holds tiny/1."""
    write_version(tmp_path / "models" / "tiny" / "1")
    return tmp_path / "models"


@pytest.fixture
def tokenizer() -> Tokenizer:
    """The tiny tokenizer with windows of 16 tokens."""
    return Tokenizer(rust_tokenizer(), WINDOW_TOKENS)


@pytest.fixture
def model(repository_folder: Path, tokenizer: Tokenizer) -> Model:
    """The tiny model, loaded."""
    session = Session.load(repository_folder / "tiny" / "1" / "model.onnx", 1, len(LABELS))
    return Model("tiny", "1", tokenizer, session, Decoder(LABELS))
