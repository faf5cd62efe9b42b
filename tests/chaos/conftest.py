"""The chaos suite has a short form, in `make test`, and a long one, `make chaos`."""

import resource
from collections.abc import Iterator

import pytest

from tests.chaos.fleet import Fleet
from tests.tiny_model import write_version


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the option; where this file is found too late for it, the short form is run."""
    parser.addoption("--chaos-long", action="store_true", help="more kills and connections")


@pytest.fixture(scope="session")
def is_long(request: pytest.FixtureRequest) -> bool:
    """Whether the long form was asked for."""
    return bool(request.config.getoption("--chaos-long", default=False))


@pytest.fixture
def connections(is_long: bool) -> Iterator[int]:
    """How many connections the many are; descriptors for them are allowed for as far as they go."""
    wanted = 10_000 if is_long else 1_000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = wanted + 500
    allowed = room if hard == resource.RLIM_INFINITY else min(room, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, allowed), hard))
    yield min(wanted, allowed - 500)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Replicas and gateways in processes of their own, none of which runs yet."""
    folder = tmp_path_factory.mktemp("fleet")
    write_version(folder / "models" / "tiny" / "1")
    with Fleet(folder, replicas=2, gateways=2) as fleet:
        yield fleet
