"""The model that answers those who name none, as the inference service says."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from starlette.types import Scope

from gateway.client import InferenceClient
from gateway.deadline import Deadline
from gateway.errors import GatewayError, Reason
from gateway.middleware import request_id_of

# A new default is seen after this long. Until then callers with a limited scope are answered by
# the old one, which they may ask as well.
_MAX_AGE_S: Final = 1.0


class DefaultModel:
    """Asks for the default model, one question at a time and at most once a second.

    Those who come while a question is under way wait for its answer. Where there is none, because
    it failed or whoever asked has gone, each of them asks in turn, within its own deadline.

    Args:
        client: the connection to the inference service.
        clock: monotonic seconds.
    """

    def __init__(
        self, client: InferenceClient, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client: Final = client
        self._clock: Final = clock
        self._asking: Final = asyncio.Lock()
        self._asked_s = -float("inf")
        self._name = ""

    async def __call__(self, scope: Scope, deadline: Deadline) -> str:
        """The name; empty if the service has none. Cancelling gives up this call's own question.

        Args:
            scope: of the request.
            deadline: of the request.

        Raises:
            GatewayError: the inference service does not answer, or not before the deadline.
        """
        if self._is_old():
            try:
                async with asyncio.timeout(deadline.left_s), self._asking:
                    if self._is_old():
                        await self._ask(scope, deadline)
            except TimeoutError:
                raise GatewayError(
                    Reason.DEADLINE_EXCEEDED, "the deadline passed before the model was known"
                ) from None
        return self._name

    def _is_old(self) -> bool:
        return self._clock() - self._asked_s >= _MAX_AGE_S

    async def _ask(self, scope: Scope, deadline: Deadline) -> None:
        answer = await self._client.list_models(deadline.left_s, request_id_of(scope))
        self._name, self._asked_s = answer.default_model, self._clock()
