"""One running pair of services for all tests that leave it running."""

from collections.abc import Iterator

import httpx
import pytest

from tests.e2e.stack import FEW_ITEMS, WAIT_S, Process, serving
from tests.tiny_model import write_version


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """`nerve serve` with the shipped model; nobody is put off for a slow machine."""
    with serving(tmp_path_factory.mktemp("stack"), INFERENCE_MAX_WAIT_MS="0") as process:
        yield process


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """`nerve serve` with a model that costs next to nothing, for what is long."""
    folder = tmp_path_factory.mktemp("tiny")
    write_version(folder / "models" / "tiny" / "1")
    settings = {
        "INFERENCE_MODELS_DIR": str(folder / "models"),
        "GATEWAY_STREAM_PENDING_ITEMS": str(FEW_ITEMS.gateway),
        "INFERENCE_STREAM_PENDING_ITEMS": str(FEW_ITEMS.inference),
    }
    with serving(folder, **settings) as process:
        yield process


@pytest.fixture(scope="session")
def http(stack: Process) -> Iterator[httpx.Client]:
    """A client of the REST interface."""
    with httpx.Client(base_url=stack.ports.url, timeout=2 * WAIT_S) as client:
        yield client
