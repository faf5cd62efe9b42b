"""Where and of what a benchmark was run."""

import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from inference.cores import usable_cores

_ROOT = Path(__file__).parent.parent
# What int8 products are made of, the fastest first: it moves a model by a factor of four.
_INT8_FLAGS = ("amx_int8", "avx512_vnni", "avx_vnni", "avx512bw", "avx2", "i8mm", "asimddp")
_PACKAGES = ("onnxruntime", "grpcio", "tokenizers", "uvicorn", "uvloop", "fastapi", "numpy")


def describe() -> dict[str, Any]:
    """The machine, the versions and the commit."""
    return {
        "cpu": _cpu(),
        "cores": usable_cores(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        **{package: version(package) for package in _PACKAGES},
        "commit": _commit(),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
    }


def _cpu() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    found = named_cpu(cpuinfo.read_text()) if cpuinfo.exists() else ""
    return found or platform.processor() or platform.machine()


def named_cpu(cpuinfo: str) -> str:
    """A processor's name and the best that it has for int8; empty where nothing is said.

    Args:
        cpuinfo: Linux's description of its processors.
    """
    lines = (line.partition(":") for line in cpuinfo.splitlines())
    fields = {key.strip(): value.strip() for key, _, value in lines}
    flags = fields.get("flags", fields.get("Features", "")).split()
    best = next((f"({flag})" for flag in _INT8_FLAGS if flag in flags), "")
    return " ".join(filter(None, (fields.get("model name", ""), best)))


def _commit() -> str:
    """The short commit; with a plus when the source differs from it."""
    commit = _git("rev-parse", "--short", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!*.md")
    return commit + ("+" if changed else "")


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    try:
        done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return "unknown"  # an archive of the source, without its history
    return done.stdout.strip()
