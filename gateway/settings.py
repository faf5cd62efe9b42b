"""The settings of the gateway, read once from the environment."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    IPvAnyNetwork,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from credentials.keys import Rate

_PREFIX = "GATEWAY_"
# Timers overflow on times that are much longer, or expire at once.
_DAY_S = 86_400

# Signatures by a private key only. With HS* the gateway's own verification key could sign, and
# `none` is no signature (RFC 8725, 3.1 and 3.2).
JwtAlgorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]


def _split(value: Any) -> Any:
    """Read a list as people write it into a variable: with commas."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _check_redis_url(url: SecretStr | None) -> SecretStr | None:
    """Refuse what is no address of Redis, without a word of it: it may hold a password."""
    address = "" if url is None else url.get_secret_value()
    if not address:
        return None
    try:
        known = address.startswith(("redis://", "rediss://", "unix://")) and (
            urlsplit(address).port != 0
        )
    except ValueError:  # of the port, or of brackets
        known = False
    if not known:
        raise ValueError("must be redis://[:password@]host[:port][/number], rediss:// or unix://")
    return url


# An address of IPv6 is taken with the brackets of `[host]:port` as well.
_Host = Annotated[str, AfterValidator(lambda host: host.strip("[]")), Field(min_length=1)]
_Seconds = Annotated[float, Field(gt=0, le=_DAY_S)]
_Listed = (NoDecode, BeforeValidator(_split))


class GatewaySettings(BaseSettings):
    """What an operator may set; each field is the variable `GATEWAY_<FIELD>`.

    Attributes:
        host: address to listen on.
        port: TCP port to listen on; 0 lets the system choose, the log says which.
        inference_target: gRPC target of the inference service; a `dns:///` name with several
            addresses is balanced over all of them.
        max_body_bytes: largest request body.
        max_held_body_bytes: of all request bodies together that are held at one time; those of at
            most 64 KiB are always let in.
        request_timeout_ms: longest time for one answer; a caller may ask for less.
        max_message_bytes: largest gRPC message, either way.
        joined_calls: calls under way from which on single texts of concurrent requests gather
            into one; a few for each core of the inference service.
        joined_texts: most single texts in one call; 1 sends each alone.
        crowd_ms: single texts whose answers take longer than that in all are overload; 0: never.
        stream_max_line_bytes: largest line of a stream, and the most bytes of lines that one stream
            holds.
        stream_pending_items: lines of one stream that are read and not yet answered.
        stream_idle_timeout_s: a stream whose caller neither sends nor reads for so long is ended.
        drain_timeout_s: time that running requests get to finish at shutdown.
        otlp_endpoint: where spans are sent, in OTLP over HTTP; empty: there are none.
        log_level: the least level that is logged.
        keys_file: API keys, TOML or JSON; with them nothing but health answers without a key.
        jwks_url: where an issuer publishes its signing keys; its tokens are then taken as keys.
        jwt_issuer: `iss` of its tokens.
        jwt_audience: `aud` of its tokens.
        jwt_algorithms: signatures that are taken.
        admin_calls: whether models may be loaded and unloaded over HTTP.
        cors_origins: origins whose pages may read answers; `*` is any. Empty: any on `/api`, none
            elsewhere.
        trusted_proxies: networks whose `X-Forwarded-For` is believed.
        limit_requests_per_s: requests of one caller, its key or else its address; 0: no limit.
        limit_texts_per_s: texts of one caller; 0: no limit.
        limit_chars_per_s: code points of text of one caller; 0: no limit.
        limit_concurrent: requests of one caller at one time; 0: no limit.
        limit_burst_s: seconds of unused rate that a caller may save up.
        redis_url: where several gateways keep the limits together; empty: each keeps its own.
        limits_fail_open: whether requests pass when Redis does not answer.
        tls_cert_file: certificate to serve HTTPS with, in PEM.
        tls_key_file: its private key.
        tls_client_ca_file: authority whose certificates callers must show (mTLS).
        inference_ca_file: authority of the inference service's certificate; turns TLS on.
        inference_cert_file: certificate that the gateway shows the inference service (mTLS).
        inference_key_file: its private key.
        inference_server_name: name in the inference service's certificate, where the target's
            is another.
        inference_token_file: key that the gateway shows the inference service.
        header_timeout_s: time in which the head of a request must arrive.
        body_timeout_s: time in which its body must arrive; streamed ones have a limit of their own.
        send_timeout_s: longest time in which a caller takes nothing of its answer.
        keep_alive_s: time that an idle connection is kept.
        max_connections: connections at one time; fewer where too few files may be open.
        max_head_bytes: largest head of a request.
        max_headers: fields in the head of a request.
    """

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True)

    host: _Host = "0.0.0.0"  # noqa: S104 - a server in a container must be reachable from outside of it
    port: Annotated[int, Field(ge=0, le=65_535)] = 8080
    inference_target: Annotated[str, Field(min_length=1)] = "dns:///localhost:50051"
    max_body_bytes: Annotated[int, Field(ge=1)] = 8 * 1024 * 1024
    # In parts and as a whole a body takes twice its size, its texts and their message as much more:
    # in all half of the memory that docker-compose.yml gives the gateway.
    max_held_body_bytes: Annotated[int, Field(ge=1)] = 64 * 1024 * 1024
    request_timeout_ms: Annotated[int, Field(ge=1, le=_DAY_S * 1000)] = 30_000
    # Answers may be several times larger than what was asked: every entity repeats its text.
    max_message_bytes: Annotated[int, Field(ge=1, lt=2**31)] = 64 * 1024 * 1024
    joined_calls: Annotated[int, Field(ge=1)] = 8
    joined_texts: Annotated[int, Field(ge=1, le=256)] = 8
    # 128 callers in a closed loop, here and on a machine of half its speed, are no overload.
    crowd_ms: Annotated[int, Field(ge=0, le=60_000)] = 250
    # The longest text that inference takes by default, 200,000 characters, in UTF-8.
    stream_max_line_bytes: Annotated[int, Field(ge=64)] = 1024 * 1024
    # Twice what inference holds of a stream, so that it never waits for the gateway.
    stream_pending_items: Annotated[int, Field(ge=1, le=10_000)] = 128
    stream_idle_timeout_s: _Seconds = 60
    drain_timeout_s: Annotated[int, Field(ge=0, le=_DAY_S)] = 20
    otlp_endpoint: Annotated[str, Field(validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT")] = ""
    log_level: Literal["debug", "info", "warning", "error", "critical"] = "info"

    keys_file: Path | None = None
    jwks_url: Annotated[str | None, Field(pattern=r"^https?://")] = None
    jwt_issuer: str = ""
    jwt_audience: str = ""
    jwt_algorithms: Annotated[tuple[JwtAlgorithm, ...], *_Listed, Field(min_length=1)] = (
        "RS256",
        "ES256",
        "EdDSA",
    )
    admin_calls: bool = False
    cors_origins: Annotated[tuple[str, ...], *_Listed] = ()
    trusted_proxies: Annotated[tuple[IPvAnyNetwork, ...], *_Listed] = ()

    limit_requests_per_s: Rate = 0
    limit_texts_per_s: Rate = 0
    limit_chars_per_s: Rate = 0
    limit_concurrent: Annotated[int, Field(ge=0)] = 0
    limit_burst_s: Annotated[float, Field(ge=1, le=3600)] = 10
    # May hold a password.
    redis_url: Annotated[SecretStr | None, AfterValidator(_check_redis_url)] = None
    limits_fail_open: bool = True

    tls_cert_file: Path | None = None
    tls_key_file: Path | None = None
    tls_client_ca_file: Path | None = None
    inference_ca_file: Path | None = None
    inference_cert_file: Path | None = None
    inference_key_file: Path | None = None
    inference_server_name: str = ""
    inference_token_file: Path | None = None

    # The times are those after which nginx (60 s) and Apache's reqtimeout (20 s head, 20 s body and
    # more) let go too, halved where a head of a few hundred bytes is all that is waited for.
    header_timeout_s: _Seconds = 10
    body_timeout_s: _Seconds = 30
    send_timeout_s: _Seconds = 30
    # Longer than callers keep an idle connection (httpx 5 s, load balancers 60 s): where both let
    # go at one moment, a request meets a closed socket, and its caller cannot know if it was read.
    keep_alive_s: Annotated[int, Field(ge=1, le=_DAY_S)] = 75
    max_connections: Annotated[int, Field(ge=1)] = 20_000
    # nginx: 4 buffers of 8 KiB; Apache: 100 fields.
    max_head_bytes: Annotated[int, Field(ge=1024)] = 32 * 1024
    max_headers: Annotated[int, Field(ge=8)] = 100

    @property
    def authenticated(self) -> bool:
        """Whether callers must show who they are."""
        return self.keys_file is not None or self.jwks_url is not None

    @property
    def limited(self) -> bool:
        """Whether callers are held to limits: keys may bring their own, at any time."""
        return self.keys_file is not None or any(
            (
                self.limit_requests_per_s,
                self.limit_texts_per_s,
                self.limit_chars_per_s,
                self.limit_concurrent,
            )
        )

    @model_validator(mode="after")
    def _check_pairs(self) -> Self:
        """Refuse half of what only works together, and what does not fit together."""
        needs = (
            ("tls_cert_file", "tls_key_file"),
            ("tls_key_file", "tls_cert_file"),
            ("tls_client_ca_file", "tls_cert_file"),
            ("inference_cert_file", "inference_key_file"),
            ("inference_key_file", "inference_cert_file"),
            ("inference_cert_file", "inference_ca_file"),
            ("inference_server_name", "inference_ca_file"),
            ("jwks_url", "jwt_issuer"),
            ("jwks_url", "jwt_audience"),
            ("jwt_issuer", "jwks_url"),
            ("jwt_audience", "jwks_url"),
        )
        for field, needed in needs:
            if getattr(self, field) and not getattr(self, needed):
                raise ValueError(f"{_variable(field)}: needs {_variable(needed)} too")
        if self.max_held_body_bytes < self.max_body_bytes:
            held, largest = _variable("max_held_body_bytes"), _variable("max_body_bytes")
            raise ValueError(f"{held}: must be at least {largest}: no such body could be let in")
        return self


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
        raise SettingsInvalid(
            tuple(
                _line(problem) for problem in error.errors(include_url=False, include_input=False)
            )
        ) from None


def _variable(field: str) -> str:
    return f"{_PREFIX}{field.upper()}"


def _line(problem: Any) -> str:
    message = str(problem["msg"]).removeprefix("Value error, ")
    if not problem["loc"]:  # of `_check_pairs`, whose message names the variable
        return message
    return f"{_variable(str(problem['loc'][0]))}: {message}"
