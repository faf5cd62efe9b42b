"""Settings are read once and fail loudly."""

import pytest

from inference.settings import Settings, SettingsInvalid, read_settings
from telemetry.logs import LEVELS


def test_the_defaults_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INFERENCE_PORT", raising=False)
    assert read_settings().port == 50051


def test_the_environment_moves_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFERENCE_PORT", "50099")
    assert read_settings().port == 50099


@pytest.mark.parametrize("level", LEVELS)
def test_every_level_of_the_logs_is_taken(monkeypatch: pytest.MonkeyPatch, level: str) -> None:
    """The gateway takes the same, and compose gives one to both."""
    monkeypatch.setenv("INFERENCE_LOG_LEVEL", level)
    assert read_settings().log_level == level


def test_every_bad_value_is_named_with_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFERENCE_PORT", "many")
    monkeypatch.setenv("INFERENCE_WORKERS", "-1")
    with pytest.raises(SettingsInvalid) as caught:
        read_settings()
    port, workers = caught.value.lines
    assert port.startswith("INFERENCE_PORT: ")
    assert workers.startswith("INFERENCE_WORKERS: ")


@pytest.mark.parametrize(
    ("host", "address"),
    [("::1", "[::1]:7"), ("[::1]", "[::1]:7"), ("127.0.0.1", "127.0.0.1:7"), ("here", "here:7")],
)
def test_a_host_of_ipv6_is_taken_with_and_without_brackets(host: str, address: str) -> None:
    settings = Settings(host=host)
    assert settings.host == host.strip("[]")
    assert settings.address(7) == address


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("INFERENCE_MAX_MESSAGE_BYTES", str(2**31)),
        ("INFERENCE_MAX_WAIT_MS", "9000000000000"),
        ("INFERENCE_HANG_S", "inf"),
        ("INFERENCE_HANG_S", "nan"),
        ("INFERENCE_HANG_EXIT_S", "inf"),
        ("INFERENCE_HANG_EXIT_S", "nan"),
    ],
)
def test_a_number_that_no_timer_or_message_can_use_is_refused(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsInvalid, match=f"^{variable}: "):
        read_settings()


@pytest.mark.parametrize("host", ["", "[]", "a..b", ".here"])
def test_a_host_that_can_have_no_such_name_is_refused(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("INFERENCE_HOST", host)
    with pytest.raises(SettingsInvalid, match=r"^INFERENCE_HOST: "):
        read_settings()


_STORE = {
    "INFERENCE_MODEL_SOURCE": "s3://bucket/prefix",
    "AWS_ACCESS_KEY_ID": "id",
    "AWS_SESSION_TOKEN": "token",
    "AWS_REGION": "eu-central-1",
    "AWS_ENDPOINT_URL": "https://[::1]:9000/",
}


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("AWS_ENDPOINT_URL", "localhost:9000"),
        ("AWS_ENDPOINT_URL", "http://"),
        ("AWS_ENDPOINT_URL", "http://localhost:port"),
        ("AWS_ENDPOINT_URL", "http://localhost:99999"),
        ("AWS_ENDPOINT_URL", "http://[::1"),
        ("AWS_ENDPOINT_URL", "http://a..b"),
        ("AWS_ENDPOINT_URL", "http://999.0.0.1"),
        ("AWS_ENDPOINT_URL", "http://spëicher"),
        ("AWS_ENDPOINT_URL", " http://localhost:9000"),
        ("AWS_REGION", "eü-central-1"),
        ("AWS_ACCESS_KEY_ID", "schlüssel"),
        ("AWS_SESSION_TOKEN", "töken"),
        ("AWS_SESSION_TOKEN", "token\n"),
    ],
)
def test_what_no_request_to_a_store_can_hold_is_refused_where_one_is_asked(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    for name, good in _STORE.items():
        monkeypatch.setenv(name, good)
    assert read_settings().aws_endpoint_url == _STORE["AWS_ENDPOINT_URL"]
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsInvalid, match=f"^{variable}: ") as caught:
        read_settings()
    assert "ö" not in str(caught.value), "a token is a secret"
    monkeypatch.delenv("INFERENCE_MODEL_SOURCE")
    read_settings()


@pytest.mark.parametrize("region", ["", "a..b", "local dev", "eu/central"])
def test_a_region_that_is_no_part_of_amazons_address_is_refused(
    monkeypatch: pytest.MonkeyPatch, region: str
) -> None:
    monkeypatch.setenv("INFERENCE_MODEL_SOURCE", "s3://bucket/prefix")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("AWS_REGION", region)
    with pytest.raises(SettingsInvalid, match=r"^AWS_REGION: "):
        read_settings()


def test_a_setting_cannot_change_later() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().port = 1  # type: ignore[misc]
