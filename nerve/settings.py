"""The settings of both services as `nerve serve` needs them, read once from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from gateway import settings as gateway_settings
from inference import settings as inference_settings
from nerve.ports import Listener

_NO_MTLS = (
    "GATEWAY_TLS_CLIENT_CA_FILE: nerve serve has no certificate to ask the gateway with whether it"
    " is ready: start the services by themselves (.venv/bin/python -m inference and"
    " .venv/bin/python -m gateway)"
)


class SettingsInvalid(Exception):
    """Variables of the environment that a service cannot use.

    Args:
        lines: one for each: the variable, and what is wrong with it.
    """

    def __init__(self, lines: tuple[str, ...]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """What `nerve serve` must know of the services that it starts.

    Attributes:
        gateway: where REST is served.
        inference: where gRPC is served.
        metrics: where the inference service serves its metrics.
        gateway_drain_s: time that the gateway takes at most to drain, in seconds.
        inference_drain_s: the same of the inference service.
        scheme: how REST is served, `http` or `https`.
        environment: of this process; the services inherit it.
    """

    gateway: Listener
    inference: Listener
    metrics: Listener
    gateway_drain_s: float
    inference_drain_s: float
    scheme: str
    environment: Mapping[str, str]


def read() -> ServeSettings:
    """Reads the environment as the services will.

    Raises:
        SettingsInvalid: one or more variables have a value that cannot be used.
    """
    lines: list[str] = []
    gateway = inference = None
    try:
        gateway = gateway_settings.read_settings()
        inference_settings.check_host(gateway.host)
    except gateway_settings.SettingsInvalid as error:
        lines += error.lines
    except ValueError as error:
        lines.append(f"GATEWAY_HOST: {error}")
    try:
        inference = inference_settings.read_settings()
    except inference_settings.SettingsInvalid as error:
        lines += error.lines
    if lines or gateway is None or inference is None:
        raise SettingsInvalid(tuple(lines))
    if gateway.tls_client_ca_file is not None:
        raise SettingsInvalid((_NO_MTLS,))
    return ServeSettings(
        gateway=Listener(gateway.host, gateway.port, "GATEWAY_PORT"),
        inference=Listener(inference.host, inference.port, "INFERENCE_PORT"),
        metrics=Listener(inference.host, inference.metrics_port, "INFERENCE_METRICS_PORT"),
        gateway_drain_s=gateway.drain_timeout_s,
        inference_drain_s=inference.lame_duck_s + inference.drain_timeout_s,
        scheme="http" if gateway.tls_cert_file is None else "https",
        environment=dict(os.environ),  # noqa: TID251 - this is the settings module
    )
