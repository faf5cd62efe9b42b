"""What a benchmark says of the machine."""

import pytest

from benchmarks.machine import named_cpu


@pytest.mark.parametrize(
    ("cpuinfo", "name"),
    [
        (
            "model name\t: AMD EPYC 9R14\nflags\t\t: fpu avx2 avx512bw avx512_vnni\n",
            "AMD EPYC 9R14 (avx512_vnni)",
        ),
        ("model name\t: AMD EPYC\nflags\t\t: fpu avx avx2 xavx512_vnni\n", "AMD EPYC (avx2)"),
        ("model name\t: Old\nflags\t\t: fpu sse2\n", "Old"),
        ("processor\t: 0\nFeatures\t: fp asimd asimddp\n", "(asimddp)"),
        ("", ""),
    ],
)
def test_a_processor_is_named_with_what_decides_the_speed_of_int8(cpuinfo: str, name: str) -> None:
    assert named_cpu(cpuinfo) == name
