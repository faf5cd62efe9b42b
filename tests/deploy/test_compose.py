"""What `docker-compose.yml` promises, read from it: no Docker is needed."""

import json
import re
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard
from pydantic_settings import BaseSettings

from gateway.settings import GatewaySettings
from inference.settings import Settings as InferenceSettings

_ROOT = Path(__file__).parents[2]
_TEXT = (_ROOT / "docker-compose.yml").read_text()
_MODELS_DIR = "INFERENCE_MODELS_DIR"
_OBSERVERS = ("prometheus", "grafana")
_SETTINGS: dict[str, type[BaseSettings]] = {
    "gateway": GatewaySettings,
    "inference": InferenceSettings,
}


# Of the image: what is published and mounted has variables of its own.
_FIXED = {
    "gateway": {"GATEWAY_HOST", "GATEWAY_PORT"},
    "inference": {"INFERENCE_HOST", "INFERENCE_PORT", "INFERENCE_METRICS_PORT"},
}
# What OpenTelemetry and MLflow read themselves.
_OF_LIBRARIES = re.compile(r"(OTEL|MLFLOW_TRACKING)_[A-Z_]+")


def interpolated(text: str, **environment: str) -> dict[str, Any]:
    """The services as an environment makes them; every variable must have a default."""

    def value(match: re.Match[str]) -> str:
        name, operator, other = match.groups()
        found = environment.get(name, "")
        return (found or other) if operator == "-" else (found and other)

    filled, found = text, 1
    while found:  # from the innermost one out
        filled, found = re.subn(r"\$\{(\w+):([-+])([^${}]*)\}", value, filled)
    assert "$" not in filled
    services = yaml.safe_load(filled)["services"]
    assert isinstance(services, dict)
    return services


def variables(name: str) -> set[str]:
    """The settings of a service, as they stand in its environment."""
    fields = _SETTINGS[name].model_fields
    return {str(f.validation_alias or f"{name}_{key}".upper()) for key, f in fields.items()}


@pytest.fixture(params=["gateway", "inference"])
def name(request: pytest.FixtureRequest) -> str:
    """Each of the services."""
    return str(request.param)


@pytest.fixture
def service(name: str) -> dict[str, Any]:
    """The definition of the service."""
    definition = interpolated(_TEXT)[name]
    assert isinstance(definition, dict)
    return definition


def test_these_services_start_and_those_of_the_profile_only_when_asked_for() -> None:
    services = interpolated(_TEXT)
    started = {name for name, definition in services.items() if "profiles" not in definition}
    assert started == {"gateway", "inference"}
    assert set(services) - started == set(_OBSERVERS)


@pytest.mark.parametrize("observer", _OBSERVERS)
def test_an_observer_is_bounded_and_seen_by_this_host_alone(observer: str) -> None:
    definition = interpolated(_TEXT)[observer]
    test_a_container_may_do_no_more_than_it_must(definition)
    assert definition["profiles"] == ["observability"]
    assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+", definition["image"]), "a pinned version"
    assert all(port.startswith("127.0.0.1:") for port in definition["ports"])
    assert definition["mem_limit"]


@pytest.mark.parametrize("observer", _OBSERVERS)
def test_what_an_observer_reads_is_there_and_read_only(observer: str) -> None:
    folders = [v for v in interpolated(_TEXT)[observer]["volumes"] if v.startswith(".")]
    assert folders
    for volume in folders:
        source, _, mode = volume.split(":")
        assert (_ROOT / source).is_dir()
        assert mode == "ro"


def test_grafana_finds_its_dashboard_and_prometheus() -> None:
    """The mounts, the provisioning and the dashboard name the same folder and data source."""
    grafana = _ROOT / "deploy/grafana"
    provisioning = grafana / "provisioning"
    provider = yaml.safe_load((provisioning / "dashboards/nerve.yml").read_text())["providers"][0]
    mount = f"./deploy/grafana/dashboards:{provider['options']['path']}:ro"
    assert mount in interpolated(_TEXT)["grafana"]["volumes"]
    sources = yaml.safe_load((provisioning / "datasources/prometheus.yml").read_text())
    (source,) = sources["datasources"]
    port = interpolated(_TEXT)["prometheus"]["ports"][0].rpartition(":")[2]
    assert source["url"] == f"http://prometheus:{port}"
    dashboard = json.loads((grafana / "dashboards/nerve.json").read_text())
    charts = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    assert {panel["datasource"]["uid"] for panel in charts} == {source["uid"]}
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_grafana_knows_all_that_the_dashboard_says() -> None:
    """Grafana's own model of a dashboard reads it, and drops no field of it as unknown."""
    image = interpolated(_TEXT)["grafana"]["image"]
    assert image.rpartition(":")[2] == version("grafana-foundation-sdk").rpartition("!")[2]
    plugins.register_default_plugins()
    dashboard = json.loads((_ROOT / "deploy/grafana/dashboards/nerve.json").read_text())
    known = json.loads(JSONEncoder().encode(Dashboard.from_json(dashboard)))
    assert _unknown(dashboard, known) == []


def test_prometheus_scrapes_the_ports_that_the_services_have() -> None:
    config = yaml.safe_load((_ROOT / "deploy/prometheus/prometheus.yml").read_text())
    found = {job["job_name"]: job["dns_sd_configs"][0]["port"] for job in config["scrape_configs"]}
    assert found == {
        "gateway": GatewaySettings.model_fields["port"].default,
        "inference": InferenceSettings.model_fields["metrics_port"].default,
    }


def test_a_container_may_do_no_more_than_it_must(service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    assert service["tmpfs"] == ["/tmp"]  # noqa: S108 - of the container
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["pids_limit"] > 0
    assert "privileged" not in service
    # The image says which user; compose must not say otherwise.
    assert "user" not in service


def test_the_build_is_that_of_the_service(name: str, service: dict[str, Any]) -> None:
    assert service["build"] == {
        "context": ".",
        "dockerfile": f"deploy/Dockerfile.{name}",
        "args": {"LOCK": "serve.txt"},
    }
    assert (_ROOT / service["build"]["dockerfile"]).is_file()


def test_memory_and_cores_are_bounded_by_variables(name: str, service: dict[str, Any]) -> None:
    upper = name.upper()
    assert f"${{{upper}_MEMORY:-{service['mem_limit']}}}" in _TEXT
    assert f"${{{upper}_CPUS:-{service['cpus']}}}" in _TEXT


def test_every_setting_reaches_its_service_and_no_other(name: str, service: dict[str, Any]) -> None:
    given = set(service["environment"])
    assert variables(name) - given == _FIXED[name]
    assert all(_OF_LIBRARIES.fullmatch(variable) for variable in given - variables(name))


def test_what_is_not_set_here_is_taken_from_the_shell(name: str) -> None:
    """Compose passes a name without a value on; one with a value must name its own variable."""
    environment = interpolated(_TEXT, **dict.fromkeys(variables(name), "set"))[name]["environment"]
    values = {value for variable, value in environment.items() if variable != _MODELS_DIR}
    assert values == {None, "set"}


def test_the_level_of_the_logs_is_each_services_own_or_that_of_both() -> None:
    services = interpolated(_TEXT, LOG_LEVEL="error", INFERENCE_LOG_LEVEL="debug")
    assert services["gateway"]["environment"]["GATEWAY_LOG_LEVEL"] == "error"
    assert services["inference"]["environment"]["INFERENCE_LOG_LEVEL"] == "debug"


def test_every_variable_of_opentelemetry_and_mlflow_that_the_docs_name_is_passed_on() -> None:
    pages = [_ROOT / "README.md", *(_ROOT / "docs").glob("*.md")]
    named = {match[0] for page in pages for match in _OF_LIBRARIES.finditer(page.read_text())}
    assert "MLFLOW_TRACKING_URI" in named
    inference = interpolated(_TEXT)["inference"]["environment"]
    assert named <= set(inference)
    traces = {variable for variable in inference if variable.startswith("OTEL_")}
    assert traces <= set(interpolated(_TEXT)["gateway"]["environment"])


def test_keys_and_certificates_are_mounted_read_only(name: str, service: dict[str, Any]) -> None:
    """A wrong folder is an error, and the one that is there by default is kept out of git."""
    (secrets,) = (v for v in service["volumes"] if v["target"] == "/secrets")
    assert secrets["read_only"] is True
    assert secrets["bind"] == {"create_host_path": False}
    assert (_ROOT / secrets["source"]).is_dir()
    assert (_ROOT / secrets["source"] / ".gitignore").read_text().splitlines()[1:] == [
        "*",
        "!.gitignore",
    ]
    moved = interpolated(_TEXT, SECRETS_DIR="/etc/nerve")[name]["volumes"]
    assert "/etc/nerve" in [volume.get("source") for volume in moved]


def test_every_variable_of_the_file_is_told_at_its_top() -> None:
    head = _TEXT.partition("\nname:")[0]
    assert {v for v in re.findall(r"\$\{(\w+)", _TEXT) if v not in head} == set()


def test_health_is_checked_with_the_probe(service: dict[str, Any]) -> None:
    assert service["healthcheck"]["test"][:4] == ["CMD", "python", "-m", "nerve.health"]


def test_a_gateway_that_serves_https_is_probed_by_https() -> None:
    services = interpolated(_TEXT, GATEWAY_TLS_CERT_FILE="/secrets/tls.pem")
    assert services["gateway"]["healthcheck"]["test"][-1] == "https://127.0.0.1:8080/readyz"


def test_draining_has_more_time_than_the_service_takes(name: str, service: dict[str, Any]) -> None:
    grace_s = int(service["stop_grace_period"].removesuffix("s"))
    assert grace_s > _SETTINGS[name].model_fields["drain_timeout_s"].default


def test_inference_can_be_scaled() -> None:
    """A fixed container name or a published port would let only one replica start."""
    inference = interpolated(_TEXT)["inference"]
    assert not {"container_name", "hostname", "ports", "network_mode"} & set(inference)
    port = InferenceSettings.model_fields["port"].default
    metrics_port = InferenceSettings.model_fields["metrics_port"].default
    assert inference["expose"] == [str(port), str(metrics_port)]
    assert inference["deploy"] == {"replicas": 1}
    assert interpolated(_TEXT, REPLICAS="3")["inference"]["deploy"] == {"replicas": 3}


@pytest.mark.parametrize("lock", ["", "x.txt"])
def test_make_hides_nothing_that_stands_in_the_env_file(
    lock: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compose takes what its environment has before what `.env` says."""
    for name in ("LOCK", "MAKEFLAGS", "MAKELEVEL"):  # of a make that runs the tests
        monkeypatch.delenv(name, raising=False)
    if lock:
        monkeypatch.setenv("LOCK", lock)
    make = ["make", "--no-print-directory", "--eval", "shown: ; @echo $$LOCK", "shown"]
    shown = subprocess.run(make, cwd=_ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == lock


def test_the_gateway_waits_for_inference_and_balances_over_its_replicas() -> None:
    gateway = interpolated(_TEXT)["gateway"]
    port = InferenceSettings.model_fields["port"].default
    assert gateway["environment"]["GATEWAY_INFERENCE_TARGET"] == f"dns:///inference:{port}"
    assert gateway["depends_on"] == {"inference": {"condition": "service_healthy"}}


def test_gateway_port_moves_the_published_port_alone() -> None:
    port = GatewaySettings.model_fields["port"].default
    moved = interpolated(_TEXT, GATEWAY_PORT="9999")["gateway"]
    assert moved["ports"] == [f"9999:{port}"]
    assert "GATEWAY_PORT" not in moved["environment"]


def test_the_models_are_mounted_read_only_where_the_service_looks() -> None:
    volumes = interpolated(_TEXT)["inference"]["volumes"]
    (volume,) = (volume for volume in volumes if volume.get("source") == "./models")
    assert volume["target"] == f"/app/{InferenceSettings.model_fields['models_dir'].default}"
    assert volume["target"] == interpolated(_TEXT)["inference"]["environment"][_MODELS_DIR]
    assert volume["read_only"] is True
    assert volume["bind"] == {"create_host_path": False}
    assert (_ROOT / volume["source"]).is_dir()


def test_the_models_of_a_source_are_written_to_a_volume_of_each_replicas_own() -> None:
    inference = interpolated(_TEXT, INFERENCE_MODEL_SOURCE="s3://bucket")["inference"]
    (volume,) = (volume for volume in inference["volumes"] if volume["type"] == "volume")
    assert inference["environment"][_MODELS_DIR] == f"{volume['target']}/models"
    assert not {"source", "read_only"} & set(volume)


def _unknown(said: object, known: object, place: str = "dashboard") -> list[str]:
    """Places of what is said and not known, or known as something else."""
    if isinstance(said, dict) and isinstance(known, dict):
        return [
            name
            for key, value in said.items()
            for name in _unknown(value, known.get(key), f"{place}.{key}")
        ]
    if isinstance(said, list) and isinstance(known, list) and len(said) == len(known):
        return [
            name
            for i, (value, other) in enumerate(zip(said, known, strict=True))
            for name in _unknown(value, other, f"{place}[{i}]")
        ]
    return [] if said == known else [place]
