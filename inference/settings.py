"""The settings of the inference service, read once from the environment (`INFERENCE_…`)."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

_Port = Annotated[int, Field(ge=0, le=65535)]
_PREFIX = "INFERENCE_"
_MIB = 1024 * 1024


class Settings(BaseSettings):
    """Every setting has a default that serves."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True)

    host: str = Field("0.0.0.0", description="address to listen on")  # noqa: S104 - a server
    port: _Port = Field(50051, description="gRPC port; 0 picks a free one")
    metrics_port: _Port = Field(9464, description="HTTP port of /metrics; 0 picks a free one")
    models_dir: Path = Field(Path("models"), description="model repository: <name>/<version>/")
    default_model: str = Field("", description="answers calls that name none; empty: the first")
    window_tokens: int = Field(
        128,
        ge=8,
        le=4096,
        description="longest window of a long sentence; the model's limit caps it",
    )
    workers: int = Field(0, ge=0, le=256, description="concurrent model runs; 0: measured at start")
    threads_per_worker: int = Field(
        0, ge=0, le=64, description="cores that one run uses; 0: measured at start"
    )
    # A batch of 256 tokens already runs a token about as cheaply as one of 768 (5.4 against
    # 5.2 ms for each 24-token sentence) and keeps its members waiting a third as long.
    batch_tokens: int = Field(
        256, ge=8, le=65536, description="tokens in a batch, padding at its price"
    )
    # About 13 s of work for two cores: more than that, and callers have given up.
    queue_tokens: int = Field(
        131_072, ge=512, description="most tokens that may wait; further calls are refused"
    )
    model_queue_tokens: int = Field(
        0,
        ge=0,
        description="most tokens that may wait for one model while it has others waiting;"
        " 0: three quarters of the queue",
    )
    max_texts: int = Field(256, ge=1, le=10_000, description="texts in one call")
    max_text_chars: int = Field(200_000, ge=1, description="code points in one text")
    max_message_bytes: int = Field(64 * _MIB, ge=1024, description="one gRPC message")
    drain_timeout_s: float = Field(20, ge=0, le=3600, description="for running calls at the end")
    reflection: bool = Field(True, description="let gRPC clients list the services")
    log_level: Literal["debug", "info", "warning", "error"] = "info"


class SettingsInvalid(Exception):
    """Variables of the environment that cannot be used.

    Args:
        lines: one for each: the variable, and what is wrong with it.
    """

    def __init__(self, lines: tuple[str, ...]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def read_settings() -> Settings:
    """Reads the settings from the environment.

    Raises:
        SettingsInvalid: a variable has a value that cannot be used.
    """
    try:
        return Settings()
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        raise SettingsInvalid(
            tuple(f"{_PREFIX}{str(p['loc'][0]).upper()}: {p['msg']}" for p in problems)
        ) from None
