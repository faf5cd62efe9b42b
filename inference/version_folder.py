"""A version folder: what it must hold, checked before any of it is loaded.

    model.onnx  tokenizer.json  config.json  [manifest.json]  [MODEL_CARD.md …]

What Hugging Face's Optimum and transformers.js export is served as it is: there the manifest is
missing, and the ONNX file may be called otherwise or stand in `onnx/`. With a manifest every file
is compared with its hash. Nothing is ever unpickled.
"""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from inference import manifest, model_config, onnx_file
from inference.decoding import Decoder
from inference.errors import ModelInvalid
from inference.folder_files import Listing, check_size, list_files
from inference.json_file import read_object
from inference.model import Model
from inference.runtime import Session
from inference.tokenization import Tokenizer

_TOKENIZER = "tokenizer.json"
# The largest published vocabularies (a million pieces) take some 100 MB as JSON.
_MAX_TOKENIZER_BYTES = 256 * 1024 * 1024
_MIB = 1024 * 1024
# Memory that a version holds, from the sizes of its files. Measured: int8 weights take 1.7 times
# their file (the kernels read them in another order), float32 1.1 times, and twice for the moment
# in which they are loaded; a tokenizer takes 7 times its JSON (docs/adr/0011).
_WEIGHTS_FACTOR = 2.0
_TOKENIZER_FACTOR = 8.0
_SESSION_BYTES = 2 * _MIB
# What else stands beside an ONNX file: texts, other ONNX files, weights for other programs.
_OTHER_SUFFIXES = frozenset(
    {".json", ".txt", ".md", ".model", ".onnx", ".safetensors", ".h5", ".msgpack", ".ckpt", ".pt"}
)
_OTHER_NAMES = (*onnx_file.FILE_NAMES, "pytorch_model")
# The lengths of a first sentence, a long one and a paragraph: kernels are chosen and the arena is
# laid out at the first run of a shape, and no caller should wait for that.
_WARM_UP_TEXTS = ("Warm up.", "Warm up with a sentence of some length. " * 3, "Warm up. " * 40)
_WARM_UP_ROWS = (4, 1, 1)  # of each; more would keep who waits for the model waiting


@dataclass(frozen=True, slots=True)
class LoadRules:
    """How version folders are loaded."""

    root: Path  # the repository, out of which no file may lead
    window_tokens: int = 128  # longest window; a model's own limit caps it
    threads: int = 1  # cores that one run uses
    max_bytes: int = 4096 * _MIB  # of all files of a version


def memory_bytes(listing: Listing) -> int:
    """Memory that a version will hold, from the sizes of its files.

    Args:
        listing: of its folder.

    Raises:
        ModelInvalid: it holds no ONNX file.
    """
    chosen = onnx_file.find(listing)
    weights = sum(file.size_bytes for file in listing.files if _holds_weights(file.name, chosen))
    tokenizer = listing.size_bytes(_TOKENIZER)
    return int(_WEIGHTS_FACTOR * weights + _TOKENIZER_FACTOR * tokenizer) + _SESSION_BYTES


def _holds_weights(name: str, onnx: str) -> bool:
    """Whether a file holds weights of an ONNX file, which may stand beside it under any name."""
    path, chosen = PurePosixPath(name), PurePosixPath(onnx)
    if path.parent != chosen.parent:
        return False
    if path.name.startswith(chosen.name):
        return True
    return path.suffix not in _OTHER_SUFFIXES and not path.name.startswith(_OTHER_NAMES)


def load(folder: Path, rules: LoadRules) -> Model:
    """Loads a version and runs it once in several shapes.

    Args:
        folder: `<repository>/<name>/<version>`.
        rules: how.

    Raises:
        ModelInvalid: it cannot be served; the message says which file, and what is wrong with it.
    """
    listing = list_files(folder, rules.root)
    check_size(listing, rules.max_bytes)
    manifest.verify(folder, listing)
    config = model_config.parse(read_object(folder / model_config.FILE_NAME))
    if listing.size_bytes(_TOKENIZER) > _MAX_TOKENIZER_BYTES:
        raise ModelInvalid(f"{_TOKENIZER}: larger than {_MAX_TOKENIZER_BYTES} bytes")
    onnx = onnx_file.find(listing)
    onnx_file.check(folder, onnx, listing)
    decoder = Decoder(config.labels, config.min_score, config.label_consistency)
    tokenizer = _tokenizer(folder / _TOKENIZER, rules.window_tokens, config)
    session = Session.load(folder / onnx, rules.threads, len(config.labels))
    model = Model(folder.parent.name, folder.name, tokenizer, session, decoder)
    _warm_up(model)
    return model


def _tokenizer(path: Path, window_tokens: int, config: model_config.ModelConfig) -> Tokenizer:
    try:
        tokenizer = Tokenizer.load(
            path,
            min(window_tokens, config.max_tokens),
            config.max_tokens,
            joined_words=config.joined_words,
            passage_tokens=config.passage_tokens,
        )
        for text in _WARM_UP_TEXTS:
            tokenizer.tokenize(text)
    except ModelInvalid:
        raise
    except BaseException as error:
        # A panic of the Rust library is no Exception; what else is not one must go on.
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            raise ModelInvalid(f"{_TOKENIZER}: cannot tokenize: {str(error)[:200]}") from error
        raise
    return tokenizer


def _warm_up(model: Model) -> None:
    """Runs the model, so that a file that loads but cannot run is refused now."""
    finite = True
    try:
        for text, rows in zip(_WARM_UP_TEXTS, _WARM_UP_ROWS, strict=True):
            for window in model.tokenizer.tokenize(text).windows[:1]:
                ids = np.stack([window.ids] * rows)
                finite &= bool(np.isfinite(model.session.run(ids, np.ones_like(ids))).all())
    except Exception as error:  # onnxruntime's errors share no base but Exception
        raise ModelInvalid(f"the model cannot be run: {str(error)[:400]}") from error
    if not finite:
        raise ModelInvalid("the model cannot be run: its logits are not finite")
