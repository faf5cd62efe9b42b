"""What is said where a package of an extra is missing can be run in a checkout."""

import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("service", "package", "settings"),
    [
        (
            "gateway",
            "redis",
            {"GATEWAY_REDIS_URL": "redis://localhost", "GATEWAY_LIMIT_CONCURRENT": "1"},
        ),
        (
            "gateway",
            "jwt",
            {
                "GATEWAY_JWKS_URL": "https://issuer.example/keys",
                "GATEWAY_JWT_ISSUER": "issuer",
                "GATEWAY_JWT_AUDIENCE": "nerve",
            },
        ),
        ("gateway", "opentelemetry.sdk", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}),
        ("inference", "mlflow", {"INFERENCE_MODEL_SOURCE": "models:/ner-en@live"}),
    ],
)
def test_a_service_that_needs_a_missing_package_says_what_installs_it(
    service: str, package: str, settings: dict[str, str], tmp_path: Path
) -> None:
    code = (
        f"import runpy, sys; sys.modules[{package!r}] = None;"
        f" runpy.run_module({service!r}, run_name='__main__')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=_ROOT,
        env={**settings, "GATEWAY_PORT": "0", "INFERENCE_MODELS_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode != 0
    assert "LOCK=serve-extras.txt make serve, or make up, installs it" in ended.stderr


def test_nothing_says_to_install_the_project_which_is_not_published() -> None:
    packages = ("gateway", "inference", "telemetry", "credentials", "nerve", "training")
    files = [*_ROOT.glob("*.md"), *(_ROOT / "docs").rglob("*.md")]
    files += [path for package in packages for path in (_ROOT / package).rglob("*.py")]
    assert [path.name for path in files if "nerve[" in path.read_text()] == []
