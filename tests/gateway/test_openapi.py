from typing import Any

import httpx
import pytest

from gateway.app import create_app
from gateway.schemas import RECOGNIZE_BODY
from gateway.settings import GatewaySettings
from gateway.wire import recognize_request


@pytest.fixture
def document() -> dict[str, Any]:
    return create_app(GatewaySettings()).openapi()


def _references(node: Any) -> set[str]:
    if isinstance(node, dict):
        found = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return found.union(*(_references(child) for child in node.values()))
    if isinstance(node, list):
        return set().union(*(_references(child) for child in node))
    return set()


def test_every_path_of_the_interface_is_described(document: dict[str, Any]) -> None:
    assert {path: sorted(methods) for path, methods in document["paths"].items()} == {
        "/v1/entities": ["post"],
        "/v1/models": ["get"],
        "/v1/models/{name}": ["get"],
        "/v1/entities:stream": ["post"],
        "/models/{name}": ["post"],
        "/v2": ["get"],
        "/v2/health/live": ["get"],
        "/v2/health/ready": ["get"],
        "/v2/models/{name}": ["get"],
        "/v2/models/{name}/ready": ["get"],
        "/v2/models/{name}/infer": ["post"],
        "/v2/models/{name}/versions/{version}": ["get"],
        "/v2/models/{name}/versions/{version}/ready": ["get"],
        "/v2/models/{name}/versions/{version}/infer": ["post"],
        "/v2/repository/index": ["post"],
        "/v2/repository/models/{name}/load": ["post"],
        "/v2/repository/models/{name}/unload": ["post"],
        "/api": ["post"],
        "/healthz": ["get"],
        "/readyz": ["get"],
        "/metrics": ["get"],
    }


def test_every_schema_that_is_named_is_there(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    references = _references(document)
    assert references
    assert {name.removeprefix("#/components/schemas/") for name in references} <= set(schemas)
    assert document["info"]["title"] == "Nerve"


def test_the_examples_are_requests_that_work(document: dict[str, Any]) -> None:
    body = document["paths"]["/v1/entities"]["post"]["requestBody"]
    examples = body["content"]["application/json"]["examples"]
    assert len(examples) == 3
    for example in examples.values():
        recognize_request(RECOGNIZE_BODY.validate_python(example["value"]))


def test_the_examples_slice_their_text(document: dict[str, Any]) -> None:
    operation = document["paths"]["/v1/entities"]["post"]
    sent = operation["requestBody"]["content"]["application/json"]["examples"]["one text"]
    got = operation["responses"]["200"]["content"]["application/json"]["examples"]["one text"]
    for entity in got["value"]["entities"]:
        assert sent["value"]["text"][entity["start"] : entity["end"]] == entity["text"]


async def test_the_documentation_is_served(http: httpx.AsyncClient) -> None:
    page = await http.get("/docs")
    assert page.status_code == 200
    assert "/openapi.json" in page.text
    assert (await http.get("/openapi.json")).json()["paths"]
