"""Both services with the shipped model, for the tests that need answers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.services import Services, started

MODELS = Path(__file__).parents[2] / "models"


@pytest.fixture(scope="package")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """Running services; their messages go to a file."""
    path = tmp_path_factory.mktemp("services") / "messages"
    with path.open("wb") as messages, started(MODELS, messages) as services:
        yield services
