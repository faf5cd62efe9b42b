import pytest
from pydantic import ValidationError

from gateway.settings import GatewaySettings, SettingsInvalid, read_settings


def test_every_field_is_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_PORT", "9000")
    monkeypatch.setenv("GATEWAY_INFERENCE_TARGET", "dns:///inference:50051")
    settings = read_settings()
    assert settings.port == 9000
    assert settings.inference_target == "dns:///inference:50051"


def test_each_bad_value_is_one_line_that_names_its_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GATEWAY_PORT", "eighty")
    monkeypatch.setenv("GATEWAY_MAX_BODY_BYTES", "0")
    monkeypatch.setenv("GATEWAY_LOG_LEVEL", "loud")
    with pytest.raises(SettingsInvalid) as caught:
        read_settings()
    lines = caught.value.lines
    assert [line.split(":")[0] for line in lines] == [
        "GATEWAY_PORT",
        "GATEWAY_MAX_BODY_BYTES",
        "GATEWAY_LOG_LEVEL",
    ]
    assert "integer" in lines[0]
    assert "greater than or equal to 1" in lines[1]
    assert "'warning'" in lines[2]


@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_a_host_of_ipv6_is_taken_with_and_without_brackets(host: str) -> None:
    assert GatewaySettings(host=host).host == "::1"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GATEWAY_REQUEST_TIMEOUT_MS", "9000000000000"),
        ("GATEWAY_DRAIN_TIMEOUT_S", "1000000000000"),
        ("GATEWAY_KEEP_ALIVE_S", "1000000000000"),
        ("GATEWAY_LIMIT_REQUESTS_PER_S", "1e-320"),
        ("GATEWAY_LIMIT_CHARS_PER_S", "1e300"),
        *(
            (f"GATEWAY_{name}_S", value)
            for name in ("HEADER_TIMEOUT", "BODY_TIMEOUT", "SEND_TIMEOUT", "STREAM_IDLE_TIMEOUT")
            for value in ("inf", "nan")
        ),
    ],
)
def test_a_number_that_no_timer_or_limit_can_use_is_refused(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsInvalid, match=f"^{variable}: "):
        read_settings()


@pytest.mark.parametrize(
    "url",
    ["http://x", "localhost:6379", "redis://x:notaport", "redis://:hush/hush@x", "redis://[x"],
)
def test_an_address_that_is_none_of_redis_is_refused_without_repeating_it(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("GATEWAY_REDIS_URL", url)
    with pytest.raises(SettingsInvalid, match=r"^GATEWAY_REDIS_URL: must be redis://") as caught:
        read_settings()
    assert "hush" not in str(caught.value)
    assert "notaport" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["redis://", "redis://:hush@x:6379/0", "rediss://x", "unix:///run/redis.sock?db=1"]
)
def test_an_address_of_redis_is_taken(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("GATEWAY_REDIS_URL", url)
    found = read_settings().redis_url
    assert found is not None
    assert found.get_secret_value() == url


def test_an_empty_address_of_redis_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """As docker compose passes a variable on that is not set."""
    monkeypatch.setenv("GATEWAY_REDIS_URL", "")
    assert read_settings().redis_url is None


@pytest.mark.parametrize("variable", ["GATEWAY_JWT_ISSUER", "GATEWAY_JWT_AUDIENCE"])
def test_an_issuer_without_the_address_of_its_keys_is_refused(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """As with a misspelt name of it: the gateway would be open to everybody."""
    monkeypatch.setenv(variable, "https://issuer.example")
    with pytest.raises(SettingsInvalid, match=f"^{variable}: needs GATEWAY_JWKS_URL too$"):
        read_settings()


def test_a_body_that_may_be_sent_must_find_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_MAX_BODY_BYTES", "100000000")
    with pytest.raises(SettingsInvalid, match=r"^GATEWAY_MAX_HELD_BODY_BYTES: must be at least"):
        read_settings()


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        GatewaySettings().__setattr__("port", 1)
