"""What all tests share: how long properties are tried, what begins first, that Ctrl-C is heard."""

import gc
import signal
from pathlib import Path

import pytest
from hypothesis import settings

from telemetry import garbage

# The default has to fit into every run of the tests; `--hypothesis-profile=long`, as `make fuzz`
# has it, into a coffee break.
settings.register_profile("long", max_examples=5_000, deadline=None)

# Files that take half a minute and more, the longest first. Begun last, as xdist would have it for
# those that hold few tests, they keep one process busy when the others have nothing left.
_LONG = (
    "training/test_chain.py",
    "chaos/test_replicas.py",
    "inference/test_classification.py",
    "chaos/test_rude_clients.py",
    "training/test_search.py",
    "e2e/test_serve.py",
    "benchmarks/test_command.py",
    "e2e/test_traces.py",
    "training/test_command_line.py",
    "contract/test_recognize_stream.py",
    "e2e/test_load.py",
    "e2e/test_offsets.py",
    "training/test_resume.py",
    "e2e/test_documents.py",
    "fuzz/test_rest.py",
    "benchmarks/test_soak.py",
)
_FOLDER = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the long files first, then those of training; `--no-loadscope-reorder` keeps it so."""
    place = {_FOLDER / name: number for number, name in enumerate(_LONG)}
    if gone := [str(path) for path in place if not path.is_file()]:
        raise pytest.UsageError(f"long files that are no longer there: {', '.join(gone)}")
    items.sort(
        key=lambda item: (
            place.get(item.path, len(_LONG)),
            _FOLDER / "training" not in item.path.parents,
        )
    )


def pytest_collection_finish() -> None:
    """Sets apart what was imported, so that collecting garbage need not look at it each time.

    With PyTorch and all tests that takes half a second, and some tests collect after each step.
    """
    garbage.set_apart()
    gc.enable()


def pytest_configure() -> None:
    """Hears Ctrl-C where a script runs the tests in its background: what they start inherits it."""
    gc.disable()  # until the tests are collected: until then there is no garbage
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
