from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from gateway.app import create_app
from gateway.infer_parameters import READERS
from gateway.schemas import RECOGNIZE_BODY
from gateway.security import OPEN_PATHS
from gateway.settings import GatewaySettings
from gateway.wire import recognize_request
from tests.gateway.conftest import Serve
from tests.gateway.keys_file import KeysFile


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


async def _refused_as_described(
    http: httpx.AsyncClient, document: dict[str, Any], status: int
) -> None:
    """Ask every operation, which is refused with that status in a form that is described."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            concrete = path.replace("{name}", "ner-en").replace("{version}", "1")
            answer = await http.request(method, concrete)
            described = operation["responses"].get(str(status))
            if path in OPEN_PATHS:
                assert answer.status_code != status, path
                assert described is None, path
                continue
            assert answer.status_code == status, path
            (form,) = described["content"].items()
            media_type, schema = form[0], form[1]["schema"]["$ref"].rpartition("/")[2]
            assert answer.headers["content-type"] == media_type, path
            required = document["components"]["schemas"][schema]["required"]
            assert set(required) <= answer.json().keys(), path


async def test_who_shows_no_key_is_refused_as_described(
    settings: GatewaySettings, serve: Serve, tmp_path: Path
) -> None:
    keyed = settings.model_copy(update={"keys_file": KeysFile(tmp_path).path})
    async with serve(keyed) as http:
        await _refused_as_described(http, create_app(keyed).openapi(), 401)


async def test_who_asks_too_much_is_refused_as_described(
    settings: GatewaySettings, serve: Serve
) -> None:
    """Without keys too, and also where no text is sent."""
    limited = settings.model_copy(update={"limit_requests_per_s": 1e-6})
    async with serve(limited) as http:
        assert (await http.get("/v1/models")).status_code == 200
        document = create_app(limited).openapi()
        await _refused_as_described(http, document, 429)
    assert "401" not in document["paths"]["/v1/models"]["get"]["responses"]


def _reasons(document: dict[str, Any], path: str, status: int) -> set[str]:
    """The reasons with which an operation refuses, by its examples."""
    (operation,) = document["paths"][path].values()
    response = operation["responses"].get(str(status), {"content": {}})
    return {name for form in response["content"].values() for name in form["examples"]}


def test_a_reason_is_described_beside_those_of_the_same_status(tmp_path: Path) -> None:
    keyed = create_app(GatewaySettings(keys_file=KeysFile(tmp_path).path)).openapi()
    for path in ("/v1/entities", "/models/{name}", "/api"):
        assert _reasons(keyed, path, 429) == {"QUEUE_FULL", "RATE_LIMITED", "BODIES_FULL"}
        assert "LIMITS_UNAVAILABLE" not in _reasons(keyed, path, 503)
    assert {"MALFORMED_JSON", "MALFORMED_HTTP"} == _reasons(keyed, "/v1/entities", 400)


def test_what_limits_and_keys_depend_on_may_be_away() -> None:
    settings = GatewaySettings(
        jwks_url="https://issuer/keys",
        jwt_issuer="https://issuer",
        jwt_audience="nerve",
        limit_texts_per_s=1,
        redis_url=SecretStr("redis://localhost"),
        limits_fail_open=False,
    )
    away = {"LIMITS_UNAVAILABLE", "KEYS_UNAVAILABLE"}
    for path in ("/v1/models", "/metrics", "/models/{name}"):
        assert away <= _reasons(create_app(settings).openapi(), path, 503)
    open_ = create_app(settings.model_copy(update={"limits_fail_open": True})).openapi()
    assert _reasons(open_, "/metrics", 503) & away == {"KEYS_UNAVAILABLE"}


def test_where_nobody_shows_a_key_and_nothing_is_limited_no_such_refusal_is_described(
    document: dict[str, Any],
) -> None:
    for operations in document["paths"].values():
        for operation in operations.values():
            assert "401" not in operation["responses"]
    assert not _reasons(document, "/v1/models", 429)


def test_every_parameter_of_a_request_that_is_taken_is_named(document: dict[str, Any]) -> None:
    body = document["components"]["schemas"]["InferBody"]
    described = body["properties"]["parameters"]["description"]
    assert all(f"`{name}`" in described for name in READERS)
