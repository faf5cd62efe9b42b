"""Who is answered when keys are on."""

import json
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from starlette.types import Receive, Scope, Send

from credentials.keys import Key, KeyRing, digest_of
from gateway.app import create_app
from gateway.callers import AdminGate, Caller, set_caller
from gateway.errors import GatewayError, Reason
from gateway.security import OPEN_PATHS, SecurityLayer, shown_secret
from gateway.settings import GatewaySettings
from protos.ner.v1 import entity_recognizer_pb2 as pb
from tests.gateway.conftest import Serve
from tests.gateway.keys_file import KeysFile
from tests.gateway.polling import until
from tests.gateway.scripted_inference import Script, ScriptedInference, refuse

_URL = "/v1/entities"
_TEXT = {"text": "Tim"}
_LINES = {"content-type": "application/x-ndjson"}
_OTHERS = "no such model; served are somebodys-secret"


@pytest.fixture
def keys(tmp_path: Path) -> KeysFile:
    """A keys file with a few callers."""
    return KeysFile(tmp_path)


@pytest.fixture
def anybody(keys: KeysFile) -> dict[str, str]:
    """The header of a key for every model."""
    return keys.add("anybody")


@pytest.fixture
def stranger(keys: KeysFile) -> dict[str, str]:
    """The header of a key for a model that is neither served nor the default."""
    return keys.add("stranger", '["their-own"]')


@pytest.fixture
def narrow(keys: KeysFile) -> dict[str, str]:
    """The header of a key for the default model alone."""
    return keys.add("narrow", '["ner-en"]')


@pytest.fixture
def sidelong(keys: KeysFile) -> dict[str, str]:
    """The header of a key for another model alone."""
    return keys.add("sidelong", '["other"]')


@pytest.fixture
def settings(
    settings: GatewaySettings,
    keys: KeysFile,
    anybody: dict[str, str],
    stranger: dict[str, str],
    narrow: dict[str, str],
    sidelong: dict[str, str],
) -> GatewaySettings:
    """Settings with these keys on, and admin calls."""
    assert all((anybody, stranger, narrow, sidelong))
    return settings.model_copy(update={"keys_file": keys.path, "admin_calls": True})


async def _in_force(http: httpx.AsyncClient, header: dict[str, str], status: int = 200) -> None:
    async def asked() -> bool:
        return (await http.get("/v1/models", headers=header)).status_code == status

    await until(asked)


def _concrete(path: str) -> str:
    return path.replace("{name}", "ner-en").replace("{version}", "1")


async def test_without_a_key_nothing_but_health_answers(
    http: httpx.AsyncClient, settings: GatewaySettings
) -> None:
    """Every route that there is, and some that there are not."""
    assert {"/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"} == OPEN_PATHS
    app = create_app(settings)
    paths = {getattr(route, "path", "/") for route in app.routes} | {"/", "/nowhere", "/docs"}
    assert {"/v1/entities", "/api", "/metrics", "/openapi.json"} <= paths
    for path in sorted(paths):
        concrete = _concrete(path)
        for method in ("GET", "POST"):
            answer = await http.request(method, concrete, json=_TEXT)
            if path in OPEN_PATHS:
                assert answer.status_code in {200, 405}, path
            else:
                assert answer.status_code == 401, path
                if answer.headers["content-type"] == "application/problem+json":
                    assert answer.json()["reason"] == "UNAUTHENTICATED"
                assert answer.headers["www-authenticate"] == 'Bearer realm="nerve"'
    assert (await http.get("/healthz")).status_code == 200
    assert (await http.get("/readyz")).status_code == 200


async def test_a_key_is_taken_in_either_header(
    http: httpx.AsyncClient, anybody: dict[str, str]
) -> None:
    secret = anybody["authorization"].removeprefix("Bearer ")
    for header in (
        anybody,
        {"authorization": f"bearer {secret}"},
        {"X-API-Key": secret},
    ):
        assert (await http.post(_URL, json=_TEXT, headers=header)).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        {"authorization": "Bearer nerve_wrong"},
        {"authorization": "Bearer"},
        {"authorization": "Basic bmVydmU6bmVydmU="},
        {"x-api-key": ""},
        {"x-api-key": "x" * 5000},
        {"authorization": "Bearer a.b.c"},
    ],
)
async def test_no_other_key_is_taken(
    http: httpx.AsyncClient,
    anybody: dict[str, str],
    header: dict[str, str],
    inference: ScriptedInference,
) -> None:
    assert anybody
    answer = await http.post(_URL, json=_TEXT, headers=header)
    assert answer.status_code == 401
    assert not inference.requests


async def test_two_keys_in_one_request_are_refused(
    http: httpx.AsyncClient, anybody: dict[str, str]
) -> None:
    """A proxy and the gateway could disagree about which counts."""
    answer = await http.post(_URL, json=_TEXT, headers={**anybody, "x-api-key": "nerve_other"})
    assert answer.status_code == 401


async def test_a_key_in_the_query_is_none(http: httpx.AsyncClient, anybody: dict[str, str]) -> None:
    """Addresses end up in logs."""
    secret = anybody["authorization"].removeprefix("Bearer ")
    answer = await http.get("/v1/models", params={"api_key": secret, "key": secret})
    assert answer.status_code == 401


async def test_a_new_key_is_taken_and_a_removed_one_is_not_without_a_restart(
    http: httpx.AsyncClient, keys: KeysFile, anybody: dict[str, str]
) -> None:
    fresh = keys.add("fresh")
    await _in_force(http, fresh)
    keys.remove("anybody")
    await _in_force(http, anybody, status=401)
    assert (await http.post(_URL, json=_TEXT, headers=fresh)).status_code == 200


async def test_a_broken_file_leaves_the_old_keys_in_force(
    http: httpx.AsyncClient,
    keys: KeysFile,
    anybody: dict[str, str],
    capfd: pytest.CaptureFixture[str],
) -> None:
    """And the log says what is wrong with it, without its values."""
    keys.path.write_text('[[keys]]\nid = "x"\nsha256 = "hush-hush"\nmodels = "*"\n')
    said = ""

    async def refused() -> bool:
        nonlocal said
        assert (await http.get("/v1/models", headers=anybody)).status_code == 200
        said += "".join(capfd.readouterr())
        return "files_refused" in said

    await until(refused)
    assert "keys.0.sha256" in said
    assert "hush-hush" not in said


@pytest.mark.parametrize(
    "body", [_TEXT, {**_TEXT, "model": "other"}, {"texts": ["Tim"], "model": "other"}]
)
async def test_a_model_out_of_scope_is_403_the_default_model_too(
    http: httpx.AsyncClient,
    stranger: dict[str, str],
    inference: ScriptedInference,
    body: dict[str, Any],
) -> None:
    answer = await http.post(_URL, json=body, headers=stranger)
    assert answer.status_code == 403
    assert answer.json()["reason"] == "FORBIDDEN"
    assert not inference.requests


async def test_every_route_that_sends_texts_keeps_to_the_scope(
    http: httpx.AsyncClient,
    stranger: dict[str, str],
    inference: ScriptedInference,
    settings: GatewaySettings,
) -> None:
    """A new route that forgets to ask fails here, and one whose body is not among these."""
    tensor = {"name": "text", "datatype": "BYTES", "shape": [1], "data": ["Tim"]}
    bodies: tuple[Any, ...] = (_TEXT, "Tim", {"inputs": "Tim"}, {"inputs": [tensor]}, {})
    forbidden, allowed = set(), {"/v2/repository/index"}  # it shows what is in scope
    paths = {
        getattr(route, "path", "")
        for route in create_app(settings).routes
        if "POST" in (getattr(route, "methods", None) or ())
    }
    for path in paths - allowed:
        for body in bodies:
            kind = "application/x-ndjson" if path.endswith(":stream") else "application/json"
            headers = {**stranger, "content-type": kind}
            answer = await http.post(_concrete(path), content=json.dumps(body), headers=headers)
            assert answer.status_code in {400, 403, 415, 422}, path
            if answer.status_code == 403:
                forbidden.add(path)
    assert forbidden == paths - allowed
    assert {"/v1/entities", "/api", "/v2/models/{name}/infer"} <= forbidden
    assert not inference.requests


async def test_a_model_in_scope_is_answered_and_named_for_the_inference_service(
    http: httpx.AsyncClient, narrow: dict[str, str], inference: ScriptedInference
) -> None:
    """Named even if the caller did not: the default could become another model meanwhile."""
    assert (await http.post(_URL, json=_TEXT, headers=narrow)).status_code == 200
    assert (await http.post("/api", json="Tim", headers=narrow)).status_code == 200
    assert [request.model for request in inference.requests] == ["ner-en", "ner-en"]


async def test_the_default_model_is_shown_to_a_key_that_may_ask_it(
    http: httpx.AsyncClient, narrow: dict[str, str]
) -> None:
    listed = (await http.get("/v1/models", headers=narrow)).json()
    assert listed["default_model"] == "ner-en"


async def test_models_out_of_scope_are_not_shown(
    http: httpx.AsyncClient, sidelong: dict[str, str]
) -> None:
    listed = (await http.get("/v1/models", headers=sidelong)).json()
    assert [model["name"] for model in listed["models"]] == ["other"]
    assert listed["default_model"] == ""
    assert (await http.get("/v1/models/other", headers=sidelong)).status_code == 200
    hidden = await http.get("/v1/models/ner-en", headers=sidelong)
    unknown = await http.get("/v1/models/nobody", headers=sidelong)
    assert (hidden.status_code, unknown.status_code) == (403, 403)
    for path in ("/v2/models/ner-en", "/v2/models/ner-en/ready", "/v2/models/ner-en/versions/1"):
        assert (await http.get(path, headers=sidelong)).status_code == 403


def _admin_status(gate: AdminGate, caller: Caller | None) -> int:
    scope: Scope = {}
    if caller is not None:
        set_caller(scope, caller)
    try:
        gate.check(scope, "ner-en")
    except GatewayError as error:
        return error.status
    return 200


def test_admin_calls_need_the_setting_and_with_keys_the_scope() -> None:
    nobody, plain, admin = None, Caller("key:a"), Caller("key:b", admin=True)
    off, on = AdminGate(enabled=False), AdminGate(enabled=True)
    assert [_admin_status(off, caller) for caller in (nobody, plain, admin)] == [403] * 3
    assert [_admin_status(on, caller) for caller in (nobody, plain, admin)] == [200, 403, 200]


@pytest.mark.parametrize(
    ("models", "status"),
    [(None, 200), (frozenset({"ner-en"}), 200), (frozenset({"other"}), 403), (frozenset(), 403)],
)
def test_an_admin_caller_changes_no_model_out_of_its_scope(
    models: frozenset[str] | None, status: int
) -> None:
    caller = Caller("token:jane", models=models, admin=True)
    assert _admin_status(AdminGate(enabled=True), caller) == status


async def test_the_description_says_how_to_show_a_key_only_where_one_is_asked_for(
    http: httpx.AsyncClient, anybody: dict[str, str]
) -> None:
    document = (await http.get("/openapi.json", headers=anybody)).json()
    assert set(document["components"]["securitySchemes"]) == {"bearer", "header"}
    assert document["security"] == [{"bearer": []}, {"header": []}]
    assert {"401", "403"} <= set(document["paths"][_URL]["post"]["responses"])
    assert document["paths"]["/healthz"]["get"]["security"] == []
    plain = create_app(GatewaySettings()).openapi()
    assert "securitySchemes" not in plain["components"]
    assert "401" not in plain["paths"][_URL]["post"]["responses"]


async def test_the_key_is_looked_at_before_the_body_is_read() -> None:
    """Nobody without a key makes the gateway read, parse or keep anything."""
    ring = KeyRing((Key("a", digest_of("right")),))

    async def app(_scope: Scope, receive: Receive, _send: Send) -> None:
        raise AssertionError(await receive())

    async def receive() -> Any:
        raise AssertionError("read")

    async def send(_message: Any) -> None:
        raise AssertionError("answered")

    layer = SecurityLayer(app, lambda: ring, None)
    scope = {"type": "http", "path": "/x", "headers": [(b"x-api-key", b"wrong")]}
    with pytest.raises(GatewayError) as caught:
        await layer(scope, receive, send)
    assert caught.value.reason is Reason.UNAUTHENTICATED


def test_bytes_that_are_no_text_are_no_key() -> None:
    scope = {"headers": [(b"x-api-key", b"\xff\xfe\x00")]}
    assert KeyRing((Key("a", digest_of("x")),)).find(shown_secret(scope)) is None


async def test_with_keys_off_nothing_is_asked(serve: Serve, inference: ScriptedInference) -> None:
    plain = GatewaySettings(inference_target=f"dns:///127.0.0.1:{inference.port}")
    async with serve(plain) as http:
        for header in ({}, {"x-api-key": "whatever"}):
            assert (await http.post(_URL, json=_TEXT, headers=header)).status_code == 200
        assert (await http.get("/metrics")).status_code == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/entities", {"text": "Tim", "model": "their-own"}),
        ("/models/their-own", {"inputs": "Tim"}),
        (
            "/v2/models/their-own/infer",
            {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["Tim"]}]},
        ),
    ],
)
async def test_a_model_in_scope_that_is_not_served_is_missing_without_the_others_names(
    http: httpx.AsyncClient,
    stranger: dict[str, str],
    anybody: dict[str, str],
    inference: ScriptedInference,
    path: str,
    body: dict[str, Any],
) -> None:
    inference.script = refuse(grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND", _OTHERS)
    answer = await http.post(path, json=body, headers=stranger)
    assert answer.status_code == 404
    assert "somebodys-secret" not in answer.text
    assert _OTHERS in (await http.post(path, json=body, headers=anybody)).text


async def _fail_texts(request: pb.RecognizeRequest, _context: Any) -> pb.RecognizeResponse:
    error = pb.TextError(reason=pb.MODEL_NOT_FOUND, detail=_OTHERS)
    return pb.RecognizeResponse(results=[pb.TextResult(error=error) for _ in request.texts])


@pytest.mark.parametrize(
    "script", [_fail_texts, refuse(grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND", _OTHERS)]
)
async def test_a_model_that_goes_away_under_a_stream_is_missing_without_the_others_names(
    http: httpx.AsyncClient,
    narrow: dict[str, str],
    anybody: dict[str, str],
    inference: ScriptedInference,
    script: Script,
) -> None:
    """Whether it is said of a line or of the stream."""
    inference.script = script
    path = "/v1/entities:stream"
    answer = await http.post(path, json=_TEXT, headers={**narrow, **_LINES})
    assert answer.json()["error"]["reason"] == "MODEL_NOT_FOUND"
    assert "somebodys-secret" not in answer.text
    assert _OTHERS in (await http.post(path, json=_TEXT, headers={**anybody, **_LINES})).text


async def test_metrics_name_every_model_and_are_for_keys_of_every_model(
    http: httpx.AsyncClient, narrow: dict[str, str], anybody: dict[str, str]
) -> None:
    assert (await http.get("/metrics", headers=anybody)).status_code == 200
    refused = await http.get("/metrics", headers=narrow)
    assert (refused.status_code, refused.json()["reason"]) == (403, "FORBIDDEN")
