"""Who sent a request, and what that caller may do."""

from dataclasses import dataclass
from typing import Final

from starlette.types import Scope

from credentials.keys import Limits
from gateway.errors import GatewayError, Reason

_CALLER: Final = "gateway.caller"
_NO_LIMITS_OF_ITS_OWN: Final = Limits()


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller that has shown who it is.

    Attributes:
        name: what its limits are counted under; it may be a person's and is not logged.
        key_id: id of its API key, for the log; empty for a token's.
        models: names of models that it may ask, as it would write them; None: every model.
        admin: whether it may load and unload the models that it may ask.
        limits: its own limits.
    """

    name: str
    key_id: str = ""
    models: frozenset[str] | None = None
    admin: bool = False
    limits: Limits = _NO_LIMITS_OF_ITS_OWN

    def may_ask(self, model: str) -> bool:
        """Whether a model is in its scope."""
        return self.models is None or model in self.models


def caller_of(scope: Scope) -> Caller | None:
    """The caller of a request; None where nobody has to show who they are."""
    caller: Caller | None = scope.get(_CALLER)
    return caller


def set_caller(scope: Scope, caller: Caller) -> None:
    """Note the caller of a request."""
    scope[_CALLER] = caller


def require_model(scope: Scope, model: str) -> None:
    """Let only a caller pass that may ask a model.

    Args:
        scope: the request's.
        model: the name, never empty.

    Raises:
        GatewayError: FORBIDDEN; whether there is such a model is not said.
    """
    caller = caller_of(scope)
    if caller is not None and not caller.may_ask(model):
        raise GatewayError(
            Reason.FORBIDDEN, "the key may not ask this model: name one that is in its scope"
        )


def visible(scope: Scope, model: str) -> bool:
    """Whether the caller of a request may see a model in a list."""
    caller = caller_of(scope)
    return caller is None or caller.may_ask(model)


def require_every_model(scope: Scope) -> None:
    """Let only a caller pass whose scope is not limited.

    Raises:
        GatewayError: FORBIDDEN.
    """
    caller = caller_of(scope)
    if caller is not None and caller.models is not None:
        raise GatewayError(
            Reason.FORBIDDEN, "metrics name every model: use a key that may ask every model"
        )


def told(scope: Scope, error: GatewayError) -> GatewayError:
    """An error without the names of models that its caller must not know.

    Args:
        scope: the request's.
        error: as the inference service names it, with the models that are served.
    """
    caller = caller_of(scope)
    if error.reason is Reason.MODEL_NOT_FOUND and caller is not None and caller.models is not None:
        return GatewayError(
            error.reason, "no such model is served: GET /v1/models lists those of the key's scope"
        )
    return error


@dataclass(frozen=True, slots=True)
class AdminGate:
    """What stands before calls that change which models are served.

    Attributes:
        enabled: whether there are such calls at all.
    """

    enabled: bool

    def check(self, scope: Scope, model: str) -> None:
        """Let an admin call pass.

        Args:
            scope: the request's.
            model: the name that is loaded or unloaded.

        Raises:
            GatewayError: FORBIDDEN; admin calls are off, or the caller's key has no admin scope or
                may not ask the model.
        """
        if not self.enabled:
            raise GatewayError(
                Reason.FORBIDDEN, "admin calls are off: GATEWAY_ADMIN_CALLS=true turns them on"
            )
        caller = caller_of(scope)
        if caller is not None and not caller.admin:
            raise GatewayError(Reason.FORBIDDEN, "the key has no admin scope")
        require_model(scope, model)
