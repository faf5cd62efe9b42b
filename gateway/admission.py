"""What stands between a parsed body and the inference service: its model, and its texts.

Every route that sends texts on asks `Admission.admit` first; a test calls each of them with a key
for another model and fails on one that does not.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

from starlette.types import Scope

from gateway.callers import caller_of, require_model
from gateway.deadline import Deadline
from gateway.errors import GatewayError, Reason


class TextMeter(Protocol):
    """Holds callers to their limits of texts; see `gateway.limits`."""

    async def charge(self, scope: Scope, texts: Sequence[str], *, tell: bool = True) -> None:
        """Count texts, or refuse them; `tell` in the fields of the answer what is left."""


class Admission:
    """Decides whether texts may go to a model.

    Args:
        default_model: asks the inference service which model answers those that name none.
        meter: counts texts; None: they are not limited.
    """

    def __init__(
        self,
        default_model: Callable[[Scope, Deadline], Awaitable[str]],
        meter: TextMeter | None = None,
    ) -> None:
        self._default_model: Final = default_model
        self._meter: Final = meter

    @property
    def meters(self) -> bool:
        """Whether texts are counted."""
        return self._meter is not None

    async def charge(self, scope: Scope, text: str) -> None:
        """Count one text of a request that has been admitted, or refuse it.

        Raises:
            GatewayError: RATE_LIMITED or LIMITS_UNAVAILABLE.
        """
        if self._meter is not None:
            await self._meter.charge(scope, (text,), tell=False)

    async def admit(
        self, scope: Scope, model: str, texts: Sequence[str], deadline: Deadline
    ) -> str:
        """Let texts pass to a model.

        Args:
            scope: the request's.
            model: the model that is asked for; empty: the default one.
            texts: to be counted.
            deadline: of the request; the question for the default model keeps to it.

        Returns:
            The model to ask. For a caller whose scope is limited it is always named: the default
            could become another model between this check and the call.

        Raises:
            GatewayError: FORBIDDEN, RATE_LIMITED or LIMITS_UNAVAILABLE, or the default model
                cannot be found out.
        """
        caller = caller_of(scope)
        if caller is not None and caller.models is not None:
            if not model:
                model = await self._default_model(scope, deadline)
                if not model:
                    raise GatewayError(Reason.FORBIDDEN, "name a model that is in the key's scope")
            require_model(scope, model)
        if self._meter is not None and texts:
            await self._meter.charge(scope, texts)
        return model
