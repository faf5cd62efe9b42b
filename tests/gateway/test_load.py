import asyncio
from collections import Counter

import httpx

from gateway.app import create_app
from gateway.settings import GatewaySettings


async def test_a_thousand_callers_at_once_are_all_answered(settings: GatewaySettings) -> None:
    """Without sockets between, so that the test needs no more open files than a machine allows."""
    app = create_app(settings)
    async with app.router.lifespan_context(app), asyncio.timeout(60):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as http:
            answers = await asyncio.gather(
                *(http.post("/v1/entities", json={"text": f"Tim {i}"}) for i in range(1000))
            )
    assert Counter(answer.status_code for answer in answers) == {200: 1000}
