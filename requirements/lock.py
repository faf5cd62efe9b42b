"""Writes the locks: exact versions with hashes, and no index address.

    serve.txt         what the two services need; never torch
    serve-extras.txt  serve.txt and what their extras need: tokens, Redis, traces, MLflow
    dev.txt           serve.txt and what tests, checks, benchmarks and training need, but torch
    torch-cpu.txt     torch as a CPU build (`+cpu`), which some indexes offer to pip
    torch.txt         torch as everyone's registry has it, with the CUDA libraries it loads on Linux
    clients.txt       clients of other makers that tests run, for an environment of their own

The two builds of torch are different files of one version. `make` takes the first that it can get:
pip itself would always prefer a file whose hash the index tells, which is the larger one.
"""

import hashlib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent
PROJECT = FOLDER.parent / "pyproject.toml"
_EXTRAS = ("jwt", "redis", "otel", "mlflow")
_TORCH = re.compile(r"(torch|nvidia|cuda|triton)[-=]")
_HEADER = "# Written by `make lock` from pyproject.toml; do not edit.\n"


def main() -> None:
    """Compiles pyproject.toml into the locks."""
    serve = _compile(str(PROJECT))
    constraint = _write("serve.txt", serve)
    extras = [word for extra in _EXTRAS for word in ("--extra", extra)]
    _write("serve-extras.txt", _compile(str(PROJECT), *extras, "--constraint", constraint))
    dev = _compile(str(PROJECT), "--extra", "dev", "--extra", "train", "--constraint", constraint)
    torch = [block for block in dev if _TORCH.match(block)]
    _write("torch.txt", torch)
    _write("dev.txt", [block for block in dev if block not in torch])
    _write("clients.txt", _compile("--group", f"{PROJECT}:clients"))
    _write("torch-cpu.txt", [_cpu_build(next(b for b in torch if b.startswith("torch==")))])


def _compile(*options: str) -> list[str]:
    """One block of text for each package: its pin and its hashes."""
    command = [sys.executable, "-m", "uv", "pip", "compile", *options]
    command += ["--universal", "--python-version", "3.11", "--generate-hashes", "--quiet"]
    command += ["--no-emit-index-url", "--no-annotate", "--no-header"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603
    return re.split(r"\n(?=\S)", output.strip())


def _cpu_build(block: str) -> str:
    """The pin of the CPU build of the torch in `block`; an index must offer one."""
    pin = f"{block.split()[0]}+cpu"
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "-d", folder]
        subprocess.run([*command, pin], check=True)  # noqa: S603
        (wheel,) = Path(folder).iterdir()
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return f"{pin} \\\n    --hash=sha256:{digest}"


def _write(name: str, blocks: list[str]) -> str:
    path = FOLDER / name
    path.write_text(_HEADER + "\n".join(blocks) + "\n")
    return str(path)


if __name__ == "__main__":
    main()
