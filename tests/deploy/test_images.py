"""What the Dockerfiles promise, read from them: no builder is needed."""

import fnmatch
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.settings import GatewaySettings
from inference.settings import Settings as InferenceSettings
from tests.deploy.dockerfile import Stage, read

_ROOT = Path(__file__).parents[2]
_SERVICES = ["gateway", "inference"]


def stages(service: str) -> list[Stage]:
    """The stages of a service's Dockerfile: the one that builds, the one that runs."""
    return read(_ROOT / "deploy" / f"Dockerfile.{service}")


@pytest.fixture(params=_SERVICES)
def service(request: pytest.FixtureRequest) -> str:
    """Each of the services."""
    return str(request.param)


def test_the_service_runs_as_a_numbered_user_that_is_not_root(service: str) -> None:
    user, _, group = stages(service)[-1].only("USER").arguments.partition(":")
    assert int(user) > 0
    assert int(group) > 0


def test_it_is_checked_started_and_stopped_without_a_shell(service: str) -> None:
    """A shell would be process 1 and would keep SIGTERM to itself."""
    stage = stages(service)[-1]
    assert stage.exec_form("CMD") == ["python", "-m", service]
    assert stage.exec_form("HEALTHCHECK")[:3] == ["python", "-m", "nerve.health"]
    assert stage.only("STOPSIGNAL").arguments == "SIGTERM"


def test_the_health_check_asks_the_port_that_the_service_listens_on_by_default(
    service: str,
) -> None:
    port = {
        "gateway": GatewaySettings.model_fields["port"].default,
        "inference": InferenceSettings.model_fields["port"].default,
    }[service]
    stage = stages(service)[-1]
    assert f":{port}" in stage.exec_form("HEALTHCHECK")[3]
    assert str(port) in stage.only("EXPOSE").arguments.split()


def test_only_what_the_lock_names_by_hash_is_installed(service: str) -> None:
    build, final = stages(service)
    install = build.only("RUN").arguments
    assert "--require-hashes" in install
    assert "--no-cache-dir" in install
    assert build.only("ARG").arguments == "LOCK=serve.txt"
    assert install.endswith("-r /build/${LOCK}")
    assert build.copied() == [
        ("requirements/serve.txt", "/build/"),
        ("requirements/serve-extras.txt", "/build/"),
    ]
    assert final.all("RUN") == []


def test_both_stages_are_the_same_pinned_image(service: str) -> None:
    """The virtual environment links to the interpreter that made it."""
    text = (_ROOT / "deploy" / f"Dockerfile.{service}").read_text()
    assert re.search(r"^ARG PYTHON_IMAGE=python:3\.11\S*-slim\S*$", text, re.MULTILINE)
    assert [stage.only("FROM").arguments.split()[0] for stage in stages(service)] == [
        "${PYTHON_IMAGE}"
    ] * 2


def test_the_service_may_write_the_models_of_a_source() -> None:
    """A volume takes the owner of the folder that it is mounted over; root's would be read only."""
    build, final = stages("inference")
    user = final.only("USER").arguments
    (copy,) = (copy for copy in final.all("COPY") if copy.arguments == "/fetched fetched")
    assert copy.flags == ("--from=build", f"--chown={user}")
    assert "mkdir -p /fetched/models" in build.only("RUN").arguments
    compose = (_ROOT / "docker-compose.yml").read_text()
    work = final.only("WORKDIR").arguments
    assert f"        target: {work}/fetched\n" in compose


def test_everything_copied_exists_and_is_sent_to_the_builder(service: str) -> None:
    for stage in stages(service):
        for source, _ in stage.copied():
            assert (_ROOT / source).exists(), source
            assert not ignored(source), source


@pytest.mark.parametrize(
    "path", [".git", ".venv", "tests", "training", "runs/x", "gateway/__pycache__"]
)
def test_nothing_else_is_sent_to_the_builder(path: str) -> None:
    assert ignored(path)


def test_the_image_holds_all_that_the_service_imports(service: str, tmp_path: Path) -> None:
    """The copied files alone, in an empty folder, with an interpreter that has the lock."""
    for source, destination in stages(service)[-1].copied():
        target = tmp_path / destination
        if destination.endswith("/"):
            target.mkdir(exist_ok=True)
        if (_ROOT / source).is_dir():
            without = shutil.ignore_patterns("__pycache__")
            shutil.copytree(_ROOT / source, target, ignore=without)
        else:
            shutil.copy(_ROOT / source, target)
    code = f"import sys; sys.path.insert(0, '.'); import {service}.__main__, nerve.health"
    ended = subprocess.run(
        [sys.executable, "-I", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    other = "inference" if service == "gateway" else "gateway"
    assert not (tmp_path / other).exists()


def ignored(path: str) -> bool:
    """Whether `.dockerignore` leaves a path out: the last pattern that matches it decides."""
    out = False
    parts = path.split("/")
    parents = ["/".join(parts[: i + 1]) for i in range(len(parts))]
    for line in (_ROOT / ".dockerignore").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!")
        names = parts if pattern.startswith("**/") else parents
        if any(fnmatch.fnmatchcase(name, pattern.removeprefix("**/")) for name in names):
            out = not line.startswith("!")
    return out
