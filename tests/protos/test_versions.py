"""What the generated code needs of its libraries, which it checks when it is imported."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

_ROOT = Path(__file__).parents[2]


def _generated(pattern: str, files: str) -> list[Version]:
    """The versions that the generated files with such names say they were written for."""
    texts = [path.read_text() for path in (_ROOT / "protos").rglob(files)]
    return [Version(re.findall(pattern, text, re.MULTILINE)[0]) for text in texts]


def _least(package: str) -> Version:
    """The oldest version of a package that an installation without the locks may have."""
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
    (found,) = (r for r in map(Requirement, project["dependencies"]) if r.name == package)
    (bound,) = found.specifier
    assert bound.operator == ">="
    return Version(bound.version)


@pytest.mark.parametrize(
    "package", ["grpcio", "grpcio-health-checking", "grpcio-reflection", "grpcio-status"]
)
def test_no_grpc_may_be_installed_that_is_too_old_for_the_generated_code(package: str) -> None:
    needed = _generated(r"^GRPC_GENERATED_VERSION = '(.+)'$", "*_pb2_grpc.py")
    assert _least(package) >= max(needed)


def test_no_protobuf_may_be_installed_that_is_too_old_for_the_generated_code() -> None:
    assert _least("protobuf") >= max(_generated(r"^# Protobuf Python Version: (.+)$", "*_pb2.py"))
