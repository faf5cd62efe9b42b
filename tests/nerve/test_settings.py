from pathlib import Path

import pytest

from nerve import settings
from nerve.settings import SettingsInvalid


def test_the_services_own_variables_and_defaults_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_PORT", "18080")
    monkeypatch.setenv("INFERENCE_HOST", "[::1]")
    monkeypatch.setenv("INFERENCE_DRAIN_TIMEOUT_S", "1.5")
    monkeypatch.setenv("INFERENCE_LAME_DUCK_S", "7")
    monkeypatch.delenv("INFERENCE_PORT", raising=False)
    found = settings.read()
    assert (found.gateway.port, found.inference.port) == (18080, 50051)
    assert (found.inference.host, found.metrics.host) == ("::1", "::1")
    assert found.inference_drain_s == 8.5
    assert found.environment["GATEWAY_PORT"] == "18080"


def test_every_bad_variable_of_both_services_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_PORT", "eighty")
    monkeypatch.setenv("INFERENCE_PORT", "70000")
    with pytest.raises(SettingsInvalid) as caught:
        settings.read()
    gateway, inference = caught.value.lines
    assert gateway.startswith("GATEWAY_PORT: ")
    assert inference.startswith("INFERENCE_PORT: ")


@pytest.mark.parametrize("variable", ["GATEWAY_HOST", "INFERENCE_HOST"])
def test_a_host_that_can_have_no_such_name_is_refused(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "a..b")
    with pytest.raises(SettingsInvalid, match=f"^{variable}: .*name of a host"):
        settings.read()


def _with_certificate(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    for name in ("CERT", "KEY"):
        monkeypatch.setenv(f"GATEWAY_TLS_{name}_FILE", str(folder / f"{name}.pem"))


def test_with_a_certificate_rest_is_served_over_https(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert settings.read().scheme == "http"
    _with_certificate(monkeypatch, tmp_path)
    assert settings.read().scheme == "https"


def test_a_gateway_that_asks_callers_for_certificates_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The supervisor could never find it ready: it has no certificate to ask with."""
    _with_certificate(monkeypatch, tmp_path)
    monkeypatch.setenv("GATEWAY_TLS_CLIENT_CA_FILE", str(tmp_path / "ca.pem"))
    with pytest.raises(SettingsInvalid, match=r"GATEWAY_TLS_CLIENT_CA_FILE: .*by themselves"):
        settings.read()
