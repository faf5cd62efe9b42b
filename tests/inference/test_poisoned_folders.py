"""Folders that somebody made to do harm: each is refused, and harms nothing."""

import asyncio
import gc
import json
import os
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy as np
import onnx
import psutil
import pytest
import pytest_asyncio
from onnx import TensorProto, helper, numpy_helper

from inference.catalogue import scan_model
from inference.repository import Policy, Repository
from inference.trial import Trial
from inference.version_folder import LoadRules
from inference.version_state import State
from tests.live_models import Service, WatchedLoader, write_variant
from tests.tiny_model import LABELS, rust_tokenizer, write_manifest, write_version

pytestmark = [pytest.mark.timeout(60), pytest.mark.asyncio(loop_scope="module")]

_MIB = 1024 * 1024
# Far above what a refusal leaves behind (some hundred KiB), far below any of the poisons.
_MOST_GROWTH_BYTES = 48 * _MIB
_SIZE_LIMIT = 64 * _MIB

Poison = Callable[[Path], object]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with two good models."""
    models = tmp_path_factory.mktemp("repository") / "models"
    write_variant(models / "good" / "1")
    write_variant(models / "tiny" / "1")
    return models


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_service(models: Path) -> AsyncIterator[Service]:
    """A service that tries what is new in a process of its own; it has to survive all of this."""
    rules = LoadRules(models, max_bytes=_SIZE_LIMIT)
    loader = WatchedLoader(rules, Trial(rules, timeout_s=20))
    async with Service(Repository.open(loader, "", Policy())) as service:
        yield service


@pytest_asyncio.fixture(loop_scope="module")
async def service(shared_service: Service, models: Path) -> AsyncIterator[Service]:
    """The service, which afterwards has forgotten the second version of "tiny"."""
    yield shared_service
    folder = models / "tiny" / "2"
    if folder.is_symlink():
        folder.unlink()
    else:
        shutil.rmtree(folder)
    await shared_service.repository.apply("tiny", scan_model(models, "tiny"))
    assert await shared_service.ask("tiny") == ("1", "ORG")


def _graph(*nodes: onnx.NodeProto, **initializers: np.ndarray) -> onnx.ModelProto:
    shape = ["batch", "tokens"]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, shape)
        for name in ("input_ids", "attention_mask")
    ]
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [*shape, len(LABELS)])
    tensors = [numpy_helper.from_array(value, name) for name, value in initializers.items()]
    graph = helper.make_graph(list(nodes), "poison", inputs, [logits], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


def _folds_into_gigabytes(folder: Path) -> None:
    """A constant that the optimizer unfolds into 8 GiB, from a file of some hundred bytes."""
    model = _graph(
        helper.make_node("ConstantOfShape", ["shape"], ["huge"]),
        helper.make_node("ReduceMax", ["huge"], ["most"], keepdims=0),
        helper.make_node("Gather", ["table", "input_ids"], ["found"], axis=0),
        helper.make_node("Add", ["found", "most"], ["logits"]),
        shape=np.array([2048, 1024, 1024], dtype=np.int64),
        table=np.zeros((26, len(LABELS)), dtype=np.float32),
    )
    onnx.save(model, folder / "model.onnx")


def _nests_deep(folder: Path) -> None:
    """Graphs in the branches of graphs, by hand: the library itself refuses to write them."""
    message = b""
    for _ in range(5_000):
        attribute = b"\x32" + _size(message) + message  # AttributeProto.g
        node = b"\x2a" + _size(attribute) + attribute  # NodeProto.attribute
        message = b"\x0a" + _size(node) + node  # GraphProto.node
    (folder / "model.onnx").write_bytes(b"\x3a" + _size(message) + message)  # ModelProto.graph


def _size(message: bytes) -> bytes:
    size, parts = len(message), []
    while size > 0x7F:
        parts.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*parts, size])


def _external(location: str) -> Poison:
    def poison(folder: Path) -> None:
        model = onnx.load(folder / "model.onnx")
        (table,) = model.graph.initializer
        table.ClearField("raw_data")
        table.data_location = TensorProto.EXTERNAL
        entry = table.external_data.add()
        entry.key, entry.value = "location", location
        (folder / "model.onnx").write_bytes(model.SerializeToString())

    return poison


def _linked(name: str, target: str) -> Poison:
    def poison(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).symlink_to(target)

    return poison


def _sparse(name: str) -> Poison:
    def poison(folder: Path) -> None:
        with (folder / name).open("r+b") as file:
            file.truncate(10 * 1024 * _MIB)

    return poison


def _tokenizer(**parts: object) -> Poison:
    def poison(folder: Path) -> None:
        content = json.loads(rust_tokenizer().to_str()) | parts
        (folder / "tokenizer.json").write_text(json.dumps(content))

    return poison


def _config(**parts: object) -> Poison:
    def poison(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text()) | parts
        (folder / "config.json").write_text(json.dumps(config))

    return poison


def _changed_after_its_manifest(folder: Path) -> None:
    write_manifest(folder)
    with (folder / "model.onnx").open("ab") as file:
        file.write(b"\0")


def _manifest_that_names(name: str) -> Poison:
    def poison(folder: Path) -> None:
        files = {name: {"sha256": "0" * 64}}
        (folder / "manifest.json").write_text(json.dumps({"schema_version": 1, "files": files}))

    return poison


def _link_out_of_the_folder(folder: Path) -> None:
    outside = write_version(folder.parents[2] / "outside")
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    folder.symlink_to(outside)


def _of(name: str, content: bytes) -> Poison:
    return lambda folder: (folder / name).write_bytes(content)


_POISONS: dict[str, tuple[Poison, str]] = {
    "not ONNX": (_of("model.onnx", b"\xff" * 1000), "model.onnx: onnxruntime cannot load it"),
    "empty ONNX": (_of("model.onnx", b""), "model.onnx: must hold from 1"),
    "no tokenizer": (lambda folder: (folder / "tokenizer.json").unlink(), "tokenizer.json"),
    "another number of labels": (
        _config(id2label=dict(enumerate([*LABELS, "B-MISC"]))),
        "the model cannot be run",
    ),
    "a hundred thousand labels": (
        _config(id2label={str(n): f"B-{n}" for n in range(100_000)}),
        "config.json: id2label has 100000 labels",
    ),
    "absurd positions": (
        _config(max_position_embeddings=10**18),
        "config.json: max_position_embeddings must be from 1",
    ),
    "positions of another kind": (
        _config(max_position_embeddings=[1]),
        "config.json: max_position_embeddings must be from 1",
    ),
    "absurd padding": (
        _config(model_type="roberta", pad_token_id=10**9),
        "config.json: pad_token_id must be below",
    ),
    "a configuration without an end": (
        _of("config.json", b'{"a":' * 100_000),
        "config.json: nested too deep",
    ),
    "a huge configuration": (
        _of("config.json", b" " * (5 * _MIB)),
        "config.json: larger than",
    ),
    "weights above the folder": (
        _external("../../good/1/model.onnx"),
        "model.onnx: its weights must stand in the folder",
    ),
    "weights at a place of the system": (
        _external("/etc/passwd"),
        "model.onnx: its weights must stand in the folder",
    ),
    "a manifest that leads out": (_manifest_that_names("../../good/1/x"), "config.json: not in"),
    "a link out of the repository": (
        _linked("config.json", "/etc/passwd"),
        "config.json: leads out of the model repository",
    ),
    "a link without an end": (_linked("config.json", "config.json"), "config.json"),
    "a link to a device": (_linked("config.json", "/dev/zero"), "config.json: leads out"),
    "a folder that is a link out": (_link_out_of_the_folder, "2: leads out"),
    "a changed file": (_changed_after_its_manifest, "model.onnx: its sha256 is"),
    "a sparse file": (_sparse("model.onnx"), "the folder holds 10737"),
    "a sparse tokenizer": (_sparse("tokenizer.json"), "the folder holds 10737"),
    "a graph that unfolds": (_folds_into_gigabytes, ""),
    "graphs in graphs": (_nests_deep, ""),
    # Where memory is bounded, the library ends its process: the trial's, not this one.
    "a normalizer that claims 4 GiB": (
        _tokenizer(normalizer={"type": "Precompiled", "precompiled_charsmap": "/////w=="}),
        "loading it ended a trial process",
    ),
    "a cutter that panics at work": (
        _tokenizer(pre_tokenizer={"type": "FixedLength", "length": 0}),
        "tokenizer.json: cannot tokenize",
    ),
}


@pytest.mark.parametrize("name", _POISONS)
async def test_a_poisoned_folder_is_refused_with_its_reason(
    service: Service, models: Path, name: str
) -> None:
    poison, reason = _POISONS[name]
    folder = write_variant(models / "tiny" / "2")
    poison(folder)
    before = _memory()
    applying = asyncio.create_task(service.repository.apply("tiny", scan_model(models, "tiny")))
    while not applying.done():
        assert await service.ask("good") == ("1", "ORG")
        await asyncio.sleep(0.05)  # what is asked without a pause takes the trial's time
    await applying
    states = {s.version: s for s in service.repository.versions if s.name == "tiny"}
    assert states["2"].standing is State.FAILED
    assert states["2"].detail.startswith(reason)
    assert states["2"].detail
    assert states["1"].live
    assert await service.ask("tiny") == ("1", "ORG")
    assert await service.ask("good") == ("1", "ORG")
    assert _memory() - before < _MOST_GROWTH_BYTES


def _memory() -> int:
    gc.collect()
    return int(psutil.Process().memory_info().rss)


async def test_a_pipe_in_a_folder_is_refused_without_being_opened(
    service: Service, models: Path
) -> None:
    folder = write_variant(models / "tiny" / "2")
    (folder / "config.json").unlink()
    os.mkfifo(folder / "config.json")
    await service.repository.apply("tiny", scan_model(models, "tiny"))
    (state,) = [s for s in service.repository.versions if s.version == "2"]
    assert state.detail == "config.json: not a file"


async def test_weights_in_a_file_of_the_folder_are_served(service: Service, models: Path) -> None:
    folder = write_variant(models / "tiny" / "2", "LOC")
    model = onnx.load(folder / "model.onnx")
    # The library writes only tensors of some size to a file of their own.
    onnx.save(
        model, folder / "model.onnx", save_as_external_data=True, location="model.onnx_data",
        size_threshold=0,
    )  # fmt: skip
    assert (folder / "model.onnx_data").stat().st_size
    await service.repository.apply("tiny", scan_model(models, "tiny"))
    assert await service.ask("tiny") == ("2", "LOC")
