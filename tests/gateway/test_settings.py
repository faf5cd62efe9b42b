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


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        GatewaySettings().__setattr__("port", 1)
