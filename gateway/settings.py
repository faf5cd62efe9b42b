"""The settings of the gateway, read once from the environment."""

from typing import Annotated, Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

_PREFIX = "GATEWAY_"


class GatewaySettings(BaseSettings):
    """What an operator may set; each field is the variable `GATEWAY_<FIELD>`.

    Attributes:
        host: address to listen on.
        port: TCP port to listen on; 0 lets the system choose, the log says which.
        inference_target: gRPC target of the inference service; a `dns:///` name with several
            addresses is balanced over all of them.
        max_body_bytes: largest request body.
        request_timeout_ms: longest time for one answer; a caller may ask for less.
        max_message_bytes: largest gRPC message, either way.
        joined_calls: calls under way from which on single texts of concurrent requests gather
            into one; a few for each core of the inference service.
        joined_texts: most single texts in one call; 1 sends each alone.
        stream_max_line_bytes: largest line of a stream, and the most bytes of lines that one stream
            holds.
        stream_pending_items: lines of one stream that are read and not yet answered.
        stream_idle_timeout_s: a stream whose caller neither sends nor reads for so long is ended.
        drain_timeout_s: time that running requests get to finish at shutdown.
        log_level: the least level that is logged.
    """

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True)

    host: Annotated[str, Field(min_length=1)] = "0.0.0.0"  # noqa: S104 - a server in a container must be reachable from outside of it
    port: Annotated[int, Field(ge=0, le=65_535)] = 8080
    inference_target: Annotated[str, Field(min_length=1)] = "dns:///localhost:50051"
    max_body_bytes: Annotated[int, Field(ge=1)] = 8 * 1024 * 1024
    request_timeout_ms: Annotated[int, Field(ge=1)] = 30_000
    # Answers may be several times larger than what was asked: every entity repeats its text.
    max_message_bytes: Annotated[int, Field(ge=1, lt=2**31)] = 64 * 1024 * 1024
    joined_calls: Annotated[int, Field(ge=1)] = 8
    joined_texts: Annotated[int, Field(ge=1, le=256)] = 8
    # The longest text that inference takes by default, 200,000 characters, in UTF-8.
    stream_max_line_bytes: Annotated[int, Field(ge=64)] = 1024 * 1024
    # Twice what inference holds of a stream, so that it never waits for the gateway.
    stream_pending_items: Annotated[int, Field(ge=1, le=10_000)] = 128
    stream_idle_timeout_s: Annotated[float, Field(gt=0)] = 60
    drain_timeout_s: Annotated[int, Field(ge=0)] = 20
    log_level: Literal["debug", "info", "warning", "error", "critical"] = "info"


class SettingsInvalid(Exception):
    """Variables of the environment that cannot be used.

    Args:
        lines: one line a variable: its name, then what is wrong.
    """

    def __init__(self, lines: tuple[str, ...]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def read_settings() -> GatewaySettings:
    """Read the settings from the environment.

    Raises:
        SettingsInvalid: a variable has a value that cannot be used.
    """
    try:
        return GatewaySettings()
    except ValidationError as error:
        lines = (
            f"{_PREFIX}{'_'.join(str(part) for part in problem['loc']).upper()}: {problem['msg']}"
            for problem in error.errors(include_url=False, include_input=False)
        )
        raise SettingsInvalid(tuple(lines)) from None
