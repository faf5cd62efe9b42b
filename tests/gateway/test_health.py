import asyncio
import re

import httpx
from fastapi.routing import APIRoute

from gateway.app import create_app
from gateway.settings import GatewaySettings
from tests.gateway.polling import until
from tests.gateway.scripted_inference import NOT_SERVING, SERVING, ScriptedInference

# Far more than any of this takes, far less than the 10 s that a request may wait.
_AT_ONCE_S = 5


async def test_the_gateway_is_alive_without_the_inference_service(
    http: httpx.AsyncClient, inference: ScriptedInference
) -> None:
    await inference.stop()
    answer = await http.get("/healthz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok"}


async def test_readiness_is_what_the_inference_service_says(
    http: httpx.AsyncClient, inference: ScriptedInference
) -> None:
    assert (await http.get("/readyz")).status_code == 200
    await inference.set_health(NOT_SERVING)
    answer = await http.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["reason"] == "INFERENCE_UNAVAILABLE"
    assert answer.headers["retry-after"] == "1"
    await inference.set_health(SERVING)

    async def is_ready() -> bool:
        return (await http.get("/readyz")).status_code == 200

    # The connection, which watches the same health, hears of it a moment later.
    await until(is_ready)


async def test_an_inference_service_that_is_killed_is_noticed_at_once_and_found_again(
    http: httpx.AsyncClient, inference: ScriptedInference
) -> None:
    assert (await http.post("/v1/entities", json={"text": "Tim"})).status_code == 200
    await inference.stop()
    for _ in range(3):
        async with asyncio.timeout(_AT_ONCE_S):
            answers = [
                await http.get("/readyz"),
                await http.post("/v1/entities", json={"text": "Tim"}),
                await http.post("/api", json="Tim"),
            ]
        for answer in answers:
            assert answer.status_code == 503
            assert answer.json()["reason"] == "INFERENCE_UNAVAILABLE"
            assert answer.headers["retry-after"] == "1"
    await inference.start()

    async def ready() -> bool:
        return (await http.get("/readyz")).status_code == 200

    await until(ready)
    assert (await http.post("/v1/entities", json={"text": "Tim"})).status_code == 200


async def test_head_is_answered_wherever_get_is_without_its_body(
    http: httpx.AsyncClient, settings: GatewaySettings
) -> None:
    """Monitors of uptime ask with it (RFC 9110, 9.1)."""
    routes = [route for route in create_app(settings).routes if isinstance(route, APIRoute)]
    paths = {route.path for route in routes if "GET" in (route.methods or ())}
    assert {"/healthz", "/readyz", "/metrics", "/v1/models", "/v2/health/live"} <= paths
    for path in paths:
        concrete = path.format(name="ner-en", version="1")
        got, head = await http.get(concrete), await http.head(concrete)
        assert (head.status_code, head.content) == (got.status_code, b""), path
        assert head.headers["content-type"] == got.headers["content-type"]


async def test_metrics_are_written_for_prometheus(http: httpx.AsyncClient) -> None:
    await http.post("/v1/entities", json={"texts": ["Tim", "Tom"]})
    answer = await http.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert "gateway_texts_total 2.0" in answer.text
    assert re.search(
        r'^gateway_answered_texts_total{.*version="1"} 2.0$', answer.text, re.MULTILINE
    )
    assert (
        'gateway_http_requests_total{method="POST",route="/v1/entities",status="200"} 1.0'
        in answer.text
    )
    assert 'gateway_http_request_duration_seconds_count{route="/v1/entities"} 1.0' in answer.text
    assert "gateway_http_requests_in_flight 1.0" in answer.text, "the scrape itself"
