"""The settings of the inference service, read once from the environment (`INFERENCE_…`)."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

import httpx
from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


def check_host(host: str) -> str:
    """Gives the name or address of a host as it is.

    Raises:
        ValueError: no host can have such a name, as one with two dots in a row.
    """
    try:
        host.encode("idna")  # as every look-up does, which raises no OSError for it
    except UnicodeError:
        raise ValueError("must be an address, or the name of a host") from None
    return host


# An address of IPv6 is taken with the brackets of `[host]:port` as well.
_Host = Annotated[
    str,
    AfterValidator(lambda host: host.strip("[]")),
    Field(min_length=1),
    AfterValidator(check_host),
]
_Port = Annotated[int, Field(ge=0, le=65535)]
_PREFIX = "INFERENCE_"
_REGION = re.compile(r"[a-z0-9-]+")
_MIB = 1024 * 1024
_DAY_S = 86_400


class Settings(BaseSettings):
    """Every setting has a default that serves."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True)

    host: _Host = Field("0.0.0.0", description="address to listen on")  # noqa: S104 - a server
    port: _Port = Field(50051, description="gRPC port; 0 picks a free one")
    metrics_port: _Port = Field(9464, description="HTTP port of /metrics; 0 picks a free one")
    models_dir: Path = Field(Path("models"), description="model repository: <name>/<version>/")
    model_source: str = Field(
        "", description="where models_dir is filled from: s3://bucket/prefix or models:/name@alias"
    )
    default_model: str = Field("", description="answers calls that name none; empty: the first")
    model_control: Literal["none", "explicit", "poll"] = Field(
        "poll", description="what changes the models: nothing, callers, or the folder itself"
    )
    # What is published is served within two looks; a look at 200 models takes some 10 ms.
    poll_interval_s: float = Field(2, gt=0, le=_DAY_S, description="between looks at the folder")
    model_memory_mib: int = Field(
        0, ge=0, description="most memory of all models; 0: load all at the start"
    )
    # The live one, and the one to go back to at once.
    keep_versions: int = Field(2, ge=0, description="of a model, kept loaded; 0: all")
    max_version_mib: int = Field(4096, ge=1, description="largest version folder")
    # Of an S3-compatible model_source, under the names that every tool for it reads.
    aws_access_key_id: str = Field("", validation_alias="AWS_ACCESS_KEY_ID")
    aws_secret_access_key: SecretStr = Field(
        SecretStr(""), validation_alias="AWS_SECRET_ACCESS_KEY"
    )
    aws_session_token: SecretStr = Field(SecretStr(""), validation_alias="AWS_SESSION_TOKEN")
    aws_region: str = Field("us-east-1", validation_alias="AWS_REGION")
    aws_endpoint_url: str = Field("", validation_alias="AWS_ENDPOINT_URL")
    window_tokens: int = Field(
        128,
        ge=8,
        le=4096,
        description="longest window of a long sentence; the model's limit caps it, and a model that"
        " says how long its passages are has its own",
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
    # Some 500 callers of sentences at a time on two cores; without it those of three times the peak
    # waited for 34 s (`python -m benchmarks.overload`, docs/adr/0016).
    max_wait_ms: int = Field(
        500,
        ge=0,
        le=_DAY_S * 1000,
        description="longest predicted wait of an interactive call, or it is refused; 0: any",
    )
    # Thousands of times what a run of the shipped model takes, and below the gateway's deadline.
    hang_s: float = Field(
        10, gt=0, le=_DAY_S, description="the least time after which a run may hang"
    )
    hang_exit_s: float = Field(
        30, ge=0, le=_DAY_S, description="the process ends when a run hangs for so long; 0: never"
    )
    max_texts: int = Field(256, ge=1, le=10_000, description="texts in one call")
    max_text_chars: int = Field(200_000, ge=1, description="code points in one text")
    # Some three batches for each of two workers; what a slow reader can make the service hold.
    stream_pending_items: int = Field(
        64, ge=1, le=10_000, description="items of one stream that are read and not yet answered"
    )
    max_message_bytes: int = Field(64 * _MIB, ge=1024, lt=2**31, description="one gRPC message")
    drain_timeout_s: float = Field(20, ge=0, le=3600, description="for running calls at the end")
    # Whoever watches the health learns of the end within milliseconds, and sends no more calls.
    lame_duck_s: float = Field(
        0.2, ge=0, le=60, description="between saying that it ends and refusing calls"
    )
    reflection: bool = Field(True, description="let gRPC clients list the services")
    otlp_endpoint: str = Field(
        "",
        validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        description="where spans are sent, in OTLP over HTTP; empty: there are none",
    )
    log_level: Literal["debug", "info", "warning", "error", "critical"] = "info"
    tokens_file: Path | None = Field(
        None, description="keys of callers, TOML or JSON; with them only health needs none"
    )
    tls_cert_file: Path | None = Field(None, description="certificate to serve with, PEM")
    tls_key_file: Path | None = Field(None, description="its private key, PEM")
    tls_client_ca_file: Path | None = Field(
        None, description="authority whose certificates callers must show (mTLS), PEM"
    )

    def address(self, port: int) -> str:
        """`host:port` of a port, as gRPC and people read it: IPv6 in brackets."""
        return f"[{self.host}]:{port}" if ":" in self.host else f"{self.host}:{port}"

    @model_validator(mode="after")
    def _check_pairs(self) -> Self:
        """Refuses half of what only works together."""
        needs = (
            ("tls_cert_file", "tls_key_file"),
            ("tls_key_file", "tls_cert_file"),
            ("tls_client_ca_file", "tls_cert_file"),
        )
        for field, needed in needs:
            if getattr(self, field) and not getattr(self, needed):
                raise ValueError(f"{_PREFIX}{field.upper()}: needs {_PREFIX}{needed.upper()} too")
        return self

    @model_validator(mode="after")
    def _check_store(self) -> Self:
        """Refuses what no request can be made of, where the models come from a store."""
        if not self.model_source.startswith("s3://"):
            return self
        if self.aws_endpoint_url and not _is_endpoint(self.aws_endpoint_url):
            raise ValueError("AWS_ENDPOINT_URL: must be http://host[:port] or https://host[:port]")
        # Amazon's own endpoint holds the region as a part of its name.
        if not self.aws_endpoint_url and not _REGION.fullmatch(self.aws_region):
            raise ValueError("AWS_REGION: must be the name of a region, as us-east-1")
        written = {
            "AWS_ACCESS_KEY_ID": self.aws_access_key_id,
            "AWS_SESSION_TOKEN": self.aws_session_token.get_secret_value(),
            "AWS_REGION": self.aws_region,
        }
        for variable, value in written.items():
            if not _is_plain(value):
                raise ValueError(f"{variable}: must hold nothing but printable ASCII characters")
        return self


def _is_endpoint(address: str) -> bool:
    """Whether requests can be sent to an address."""
    try:
        httpx.URL(address)
        parts = urlsplit(address)
        check_host(parts.hostname or "")
        named = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except (httpx.InvalidURL, ValueError):  # of the host, of its brackets or of the port
        return False
    return bool(named) and _is_plain(address) and " " not in address


def _is_plain(value: str) -> bool:
    """Whether a header can hold it."""
    return value.isascii() and value.isprintable()


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
            tuple(_line(problem["loc"], problem["msg"]) for problem in problems)
        ) from None


def _line(place: tuple[int | str, ...], message: str) -> str:
    message = message.removeprefix("Value error, ")
    # A check of several variables names the one itself.
    return f"{_PREFIX}{str(place[0]).upper()}: {message}" if place else message
