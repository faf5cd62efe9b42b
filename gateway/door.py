"""What stands before the routes, put together from the settings; nothing that is off is there."""

from collections.abc import Callable
from functools import partial
from typing import Final

from starlette.types import ASGIApp

from credentials.errors import CredentialInvalid
from credentials.keys import KeyRing, Limits, read_keys
from credentials.watched_files import WatchedFiles
from gateway.admission import Admission
from gateway.callers import AdminGate
from gateway.client import InferenceClient
from gateway.default_model import DefaultModel
from gateway.ledger import Ledger, MemoryLedger
from gateway.limits import Limiter, LimitFieldLayer, LimitLayer, TextLimit
from gateway.security import SecurityLayer, TokenCheck
from gateway.settings import GatewaySettings
from telemetry.logs import get_logger

_LOG: Final = get_logger("gateway.door")

_MS_PER_S: Final = 1000

Layer = Callable[[ASGIApp], ASGIApp]


class Door:
    """The layers and checks of one gateway; `aclose` closes what they hold.

    Args:
        settings: say what is on.
        client: asked for the default model.

    Attributes:
        outer_layers: around the layer that writes problems, the outermost first.
        layers: inside of it, the outermost first.
        admission: what routes ask before they send texts on.
        admin: what routes ask that change which models are served.

    Raises:
        CredentialInvalid: the keys file or the address of Redis or of the issuer's keys cannot be
            used, or a package is missing.
    """

    def __init__(self, settings: GatewaySettings, client: InferenceClient) -> None:
        self._keys: Final = _keys(settings)
        self._tokens: Final = _tokens(settings)
        limiter = _limiter(settings)
        self._ledger: Final = None if limiter is None else limiter.ledger
        outer_layers: list[Layer] = []
        layers: list[Layer] = []
        if settings.authenticated:
            keys = None if self._keys is None else self._keys.current
            layers.append(partial(SecurityLayer, keys=keys, tokens=self._tokens))
        elif settings.admin_calls:
            _LOG.warning(
                "admin_calls_open",
                detail="anybody who reaches the gateway may load and unload models:"
                " set GATEWAY_KEYS_FILE",
            )
        if limiter is not None:
            outer_layers.append(LimitFieldLayer)
            layers.append(partial(LimitLayer, limiter=limiter))
        self.outer_layers: Final = tuple(outer_layers)
        self.layers: Final = tuple(layers)
        self.admission: Final = Admission(
            DefaultModel(client),
            None if limiter is None else TextLimit(limiter),
        )
        self.admin: Final = AdminGate(settings.admin_calls)

    async def aclose(self) -> None:
        """Close the connections to the issuer and to Redis."""
        if self._tokens is not None:
            await self._tokens.aclose()
        if self._ledger is not None:
            await self._ledger.aclose()


def _keys(settings: GatewaySettings) -> WatchedFiles[KeyRing] | None:
    path = settings.keys_file
    return None if path is None else WatchedFiles((path,), lambda: read_keys(path))


def _tokens(settings: GatewaySettings) -> TokenCheck | None:
    if settings.jwks_url is None:
        return None
    try:
        from gateway.access_tokens import AccessTokens
        from gateway.jwks import Jwks
    except ModuleNotFoundError as error:
        raise _missing("GATEWAY_JWKS_URL", error) from None
    try:
        jwks = Jwks(settings.jwks_url)
    except ValueError as error:
        # The address itself is not repeated: it may hold a password.
        raise CredentialInvalid(
            f"GATEWAY_JWKS_URL: {error}: it must be https://host[:port]/path, or http://"
        ) from None
    return AccessTokens(jwks, settings.jwt_issuer, settings.jwt_audience, settings.jwt_algorithms)


def _limiter(settings: GatewaySettings) -> Limiter | None:
    if not settings.limited:
        return None
    defaults = Limits(
        settings.limit_requests_per_s,
        settings.limit_texts_per_s,
        settings.limit_chars_per_s,
        settings.limit_concurrent,
    )
    return Limiter(
        _ledger(settings),
        defaults,
        settings.limit_burst_s,
        fail_open=settings.limits_fail_open,
        proxies=settings.trusted_proxies,
    )


def _ledger(settings: GatewaySettings) -> Ledger:
    if settings.redis_url is None:
        return MemoryLedger()
    try:
        from gateway.redis_ledger import RedisLedger
    except ModuleNotFoundError as error:
        raise _missing("GATEWAY_REDIS_URL", error) from None
    # The request's own time, and that of its body, and some: only streams need a renewal.
    lease_s = settings.request_timeout_ms / _MS_PER_S + 2 * settings.body_timeout_s
    try:
        return RedisLedger(settings.redis_url.get_secret_value(), lease_s)
    except (TypeError, ValueError):
        # Not what the client says of it: the address may hold a password.
        raise CredentialInvalid(
            "GATEWAY_REDIS_URL: an option after the ? is none of the Redis client's, or has a value"
            " that it cannot have: correct it, or leave it out"
        ) from None


def _missing(variable: str, error: ModuleNotFoundError) -> CredentialInvalid:
    return CredentialInvalid(
        f"{variable}: the package {error.name} is missing: LOCK=serve-extras.txt make serve,"
        " or make up, installs it"
    )
