import asyncio
from collections import Counter

import httpx
import pytest

from gateway.app import create_app
from gateway.settings import GatewaySettings


@pytest.mark.parametrize("crowd_ms", [0, 250])
async def test_a_thousand_callers_at_once_are_answered_or_put_off(
    settings: GatewaySettings, crowd_ms: int
) -> None:
    """Without sockets between, so that the test needs no more open files than a machine allows."""
    app = create_app(settings.model_copy(update={"crowd_ms": crowd_ms}))
    async with app.router.lifespan_context(app), asyncio.timeout(60):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as http:
            answers = await asyncio.gather(
                *(http.post("/v1/entities", json={"text": f"Tim {i}"}) for i in range(1000))
            )
    statuses = Counter(answer.status_code for answer in answers)
    if crowd_ms:
        assert set(statuses) == {200, 429}
        assert statuses[200] >= 32
    else:
        assert statuses == {200: 1000}
