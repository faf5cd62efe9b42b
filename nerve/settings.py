"""The settings of both services as `nerve serve` needs them, read once from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from gateway.settings import GatewaySettings, SettingsInvalid, read_settings
from inference.settings import Settings as InferenceSettings
from nerve.ports import Listener


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """What `nerve serve` must know of the services that it starts.

    Attributes:
        gateway: where REST is served.
        inference: where gRPC is served.
        metrics: where the inference service serves its metrics.
        gateway_drain_s: time that the gateway takes at most to drain, in seconds.
        inference_drain_s: the same of the inference service.
        environment: of this process; the services inherit it.
    """

    gateway: Listener
    inference: Listener
    metrics: Listener
    gateway_drain_s: float
    inference_drain_s: float
    environment: Mapping[str, str]


def read() -> ServeSettings:
    """Reads the environment as the services will.

    Raises:
        SettingsInvalid: one or more variables have a value that cannot be used.
    """
    gateway, gateway_lines = _read_gateway()
    inference, inference_lines = _read_inference()
    if gateway is None or inference is None:
        raise SettingsInvalid((*gateway_lines, *inference_lines))
    inference_host = inference.host.strip("[]")
    return ServeSettings(
        gateway=Listener(gateway.host.strip("[]"), gateway.port, "GATEWAY_PORT"),
        inference=Listener(inference_host, inference.port, "INFERENCE_PORT"),
        metrics=Listener(inference_host, inference.metrics_port, "INFERENCE_METRICS_PORT"),
        gateway_drain_s=gateway.drain_timeout_s,
        inference_drain_s=inference.drain_timeout_s,
        environment=dict(os.environ),  # noqa: TID251 - this is the settings module
    )


def _read_gateway() -> tuple[GatewaySettings | None, tuple[str, ...]]:
    try:
        return read_settings(), ()
    except SettingsInvalid as error:
        return None, error.lines


def _read_inference() -> tuple[InferenceSettings | None, tuple[str, ...]]:
    try:
        return InferenceSettings(), ()
    except ValidationError as error:
        return None, tuple(
            f"INFERENCE_{'_'.join(map(str, problem['loc'])).upper()}: {problem['msg']}"
            for problem in error.errors(include_url=False, include_input=False)
        )
