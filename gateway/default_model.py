"""The model that answers those who name none, as the inference service says."""

import time
from collections.abc import Callable
from typing import Final

from starlette.types import Scope

from gateway.client import InferenceClient
from gateway.middleware import request_id_of

# A new default is seen after this long. Until then callers with a limited scope are answered by
# the old one, which they may ask as well.
_MAX_AGE_S: Final = 1.0


class DefaultModel:
    """Asks for the default model, at most once a second.

    Args:
        client: the connection to the inference service.
        timeout_s: seconds for the question.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        client: InferenceClient,
        timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client: Final = client
        self._timeout_s: Final = timeout_s
        self._clock: Final = clock
        self._asked_s = -float("inf")
        self._name = ""

    async def __call__(self, scope: Scope) -> str:
        """The name; empty if the service has none.

        Raises:
            GatewayError: the inference service does not answer.
        """
        if self._clock() - self._asked_s >= _MAX_AGE_S:
            answer = await self._client.list_models(self._timeout_s, request_id_of(scope))
            self._name, self._asked_s = answer.default_model, self._clock()
        return self._name
