"""Which cores a measurement gives to whom."""

import subprocess
import sys

import psutil
import pytest

from benchmarks.cores import Cores, pinned

_SAY = "import psutil; print(psutil.Process().cpu_affinity())"

pytestmark = pytest.mark.skipif(
    not hasattr(psutil.Process, "cpu_affinity"), reason="this system cannot pin a process"
)


def _said_by_a_child() -> str:
    command = [sys.executable, "-c", _SAY]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_what_is_started_meanwhile_stays_on_its_cores_and_nothing_else_does() -> None:
    before = psutil.Process().cpu_affinity()
    last = before[-1]
    with pinned([last]):
        assert _said_by_a_child() == str([last])
    assert psutil.Process().cpu_affinity() == before
    with pinned(()):
        assert psutil.Process().cpu_affinity() == before


def test_the_load_generator_gets_a_core_and_the_services_the_others() -> None:
    own = psutil.Process().cpu_affinity()
    if len(own) > 1:
        cores = Cores.apart()
        assert (*cores.services, *cores.generator) == tuple(own)
        assert len(cores.generator) == 1
    with pinned(own[:1]), pytest.raises(RuntimeError, match="needs two"):
        Cores.apart()


def test_all_on_all_cores_pins_nothing() -> None:
    assert Cores.shared() == Cores((), ())
