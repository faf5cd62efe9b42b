"""The Open Inference Protocol over REST: the gateway in front of a real inference service."""

import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from grpc import StatusCode

from gateway.bytes_tensor import pack, unpack
from gateway.settings import GatewaySettings
from inference.metrics import Metrics
from inference.repository import Repository
from inference.server import Server
from inference.settings import Settings
from tests.gateway.conftest import Serve
from tests.gateway.keys_file import KeysFile
from tests.gateway.scripted_inference import ScriptedInference, refuse
from tests.tiny_model import write_version

_INFER = "/v2/models/tiny/infer"
_SECRET = "Angela Merkel"
_MAX_BODY_BYTES = 100_000


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    """An inference service with the tiny model and a version of it that is broken."""
    write_version(tmp_path / "tiny" / "1")
    (write_version(tmp_path / "tiny" / "2") / "config.json").unlink()
    options = Settings(host="127.0.0.1", port=0, max_texts=8, max_text_chars=9_000)
    repository = Repository.load(tmp_path, "", options.window_tokens, threads=1)
    server = Server(options, repository, Metrics())
    await server.start()
    yield server
    await server.drain()


@pytest.fixture
async def v2(server: Server, serve: Serve) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a gateway in front of it."""
    settings = GatewaySettings(
        inference_target=f"dns:///127.0.0.1:{server.port}",
        max_body_bytes=_MAX_BODY_BYTES,
        admin_calls=True,
    )
    async with serve(settings) as client:
        yield client


def _body(*texts: str, **fields: Any) -> dict[str, Any]:
    tensor = {"name": "text", "datatype": "BYTES", "shape": [len(texts)], "data": texts}
    return {"inputs": [tensor], **fields}


def _found(answer: httpx.Response) -> list[Any]:
    (output,) = answer.raise_for_status().json()["outputs"]
    return [json.loads(element) for element in output["data"]]


async def test_texts_are_answered_in_order(v2: httpx.AsyncClient) -> None:
    answer = await v2.post(_INFER, json=_body("Tim in Paris", "nothing", id="7"))
    first, second = _found(answer)
    assert [(e["text"], e["label"], e["start"], e["end"]) for e in first] == [
        ("Tim", "PER", 0, 3),
        ("Paris", "LOC", 7, 12),
    ]
    assert second == []
    told = answer.json()
    assert (told["model_name"], told["model_version"], told["id"]) == ("tiny", "1", "7")


async def test_tensors_may_be_binary_both_ways(v2: httpx.AsyncClient) -> None:
    tail = pack(text.encode() for text in ("\U0001f600 Apple", "Paris"))
    tensor = {"name": "text", "datatype": "BYTES", "shape": [2, 1]}
    head = json.dumps(
        {
            "inputs": [{**tensor, "parameters": {"binary_data_size": len(tail)}}],
            "parameters": {"binary_data_output": True, "offset_unit": "utf16"},
        }
    ).encode()
    length = {"Inference-Header-Content-Length": str(len(head))}
    answer = await v2.post(_INFER, content=head + tail, headers=length)
    assert answer.headers["content-type"] == "application/octet-stream"
    end = int(answer.headers["inference-header-content-length"])
    (output,) = json.loads(answer.content[:end])["outputs"]
    binary = answer.content[end:]
    assert output["parameters"] == {"binary_data_size": len(binary)}
    first, second = map(json.loads, unpack(binary, 2))
    assert (first[0]["text"], first[0]["start"], first[0]["end"]) == ("Apple", 3, 8)
    assert second[0]["label"] == "LOC"


async def test_a_body_may_be_compressed(v2: httpx.AsyncClient) -> None:
    packed = gzip.compress(json.dumps(_body("Paris")).encode())
    answer = await v2.post(_INFER, content=packed, headers={"content-encoding": "gzip"})
    assert _found(answer)[0][0]["text"] == "Paris"


async def test_a_version_may_be_named(v2: httpx.AsyncClient) -> None:
    answer = await v2.post("/v2/models/tiny/versions/1/infer", json=_body("Paris"))
    assert _found(answer)[0][0]["text"] == "Paris"


async def test_a_text_that_fails_does_not_fail_the_others(v2: httpx.AsyncClient) -> None:
    empty, paris = _found(await v2.post(_INFER, json=_body("", "Paris")))
    assert empty["error"]["reason"] == "TEXT_EMPTY"
    assert paris[0]["text"] == "Paris"


@pytest.mark.parametrize(
    ("path", "body", "status", "hint"),
    [
        (_INFER, "{", 400, "EOF"),
        (_INFER, "{}", 422, "inputs: Field required"),
        (_INFER, json.dumps(_body("")), 422, "at least one character"),
        (_INFER, json.dumps(_body()), 422, "at least one"),
        (_INFER, json.dumps(_body(*"abcdefghi")), 422, "at most 8"),
        (_INFER, json.dumps(_body("a", parameters={"lables": "PER"})), 422, "labels, min_score"),
        (_INFER, json.dumps(_body("a", parameters={"labels": "CAT"})), 422, "PER, ORG, LOC"),
        (_INFER, json.dumps(_body("a", parameters={"timeout": 1})), 504, "deadline"),
        (_INFER, json.dumps(_body("a" * _MAX_BODY_BYTES)), 413, "larger than"),
        ("/v2/models/none/infer", json.dumps(_body("a")), 404, "served are tiny"),
        ("/v2/models/tiny/versions/2/infer", json.dumps(_body("a")), 404, "served are 1"),
        ("/v2/models/tiny", "", 405, "GET"),
        ("/v2/nothing", "", 404, "no such path"),
        ("/v2/repository/index", "[]", 422, "schema"),
        ("/v2/repository/models/tiny/load", "", 403, "model control is off"),
        ("/v2/repository/models/tiny/unload", "", 403, "model control is off"),
        (
            "/v2/repository/models/tiny/load",
            json.dumps({"parameters": {"config": "{}"}}),
            422,
            "send no parameters",
        ),
    ],
    ids=str,
)
async def test_an_error_has_the_protocols_own_body(
    v2: httpx.AsyncClient, path: str, body: str, status: int, hint: str
) -> None:
    answer = await v2.post(path, content=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json()) == ["error"]
    assert hint in answer.json()["error"]
    assert answer.headers["x-request-id"]


async def test_no_error_repeats_the_text(v2: httpx.AsyncClient) -> None:
    for body in (
        _body(_SECRET, parameters={"aggregation": _SECRET}),
        {"inputs": [{"name": _SECRET, "datatype": _SECRET, "shape": [1], "data": [_SECRET]}]},
        _body(_SECRET * 1_000),
    ):
        answer = await v2.post(_INFER, json=body)
        assert answer.status_code == 422
        assert _SECRET not in answer.text


async def test_health_and_metadata(v2: httpx.AsyncClient) -> None:
    assert (await v2.get("/v2/health/live")).json() == {"live": True}
    assert (await v2.get("/v2/health/ready")).json() == {"ready": True}
    told = (await v2.get("/v2")).json()
    assert (told["name"], sorted(told)) == ("nerve", ["extensions", "name", "version"])
    assert (await v2.get("/v2/models/tiny")).json() == {
        "name": "tiny",
        "versions": ["1"],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": "text", "datatype": "BYTES", "shape": [-1]}],
        "outputs": [{"name": "entities", "datatype": "BYTES", "shape": [-1]}],
    }


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v2/models/tiny/ready", 200),
        ("/v2/models/tiny/versions/1/ready", 200),
        ("/v2/models/tiny/versions/2/ready", 404),
        ("/v2/models/none/ready", 404),
        ("/v2/models/tiny/versions/1", 200),
        ("/v2/models/tiny/versions/2", 404),
        ("/v2/models/none", 404),
    ],
)
async def test_a_model_that_cannot_answer_is_not_found(
    v2: httpx.AsyncClient, path: str, status: int
) -> None:
    answer = await v2.get(path)
    assert answer.status_code == status
    assert ("error" in answer.json()) is (status == 404)


async def test_the_index_tells_what_is_wrong_with_a_version(v2: httpx.AsyncClient) -> None:
    first, second = (await v2.post("/v2/repository/index")).json()
    assert first == {"name": "tiny", "version": "1", "state": "READY", "reason": ""}
    assert (second["version"], second["state"]) == ("2", "UNAVAILABLE")
    assert second["reason"].startswith("config.json")
    ready = (await v2.post("/v2/repository/index", json={"ready": True})).json()
    assert ready == [first]


async def test_without_an_inference_service_it_is_alive_and_not_ready(
    http: httpx.AsyncClient, inference: ScriptedInference
) -> None:
    await inference.stop()
    assert (await http.get("/v2/health/live")).status_code == 200
    for answer in (await http.get("/v2/health/ready"), await http.get("/v2")):
        assert (answer.status_code, list(answer.json())) == (503, ["error"])


async def test_a_full_queue_says_when_to_come_back(
    http: httpx.AsyncClient, inference: ScriptedInference
) -> None:
    inference.script = refuse(StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL", "full", retry_s=3)
    answer = await http.post(_INFER, json=_body("Paris"))
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")
    assert answer.json() == {"error": "full"}


async def test_texts_and_routes_are_counted(v2: httpx.AsyncClient) -> None:
    await v2.post(_INFER, json=_body("Tim", "Paris"))
    told = (await v2.get("/metrics")).text
    assert "gateway_texts_total 2.0" in told
    assert 'route="/v2/models/{name}/infer"' in told


async def test_a_deadline_in_a_parameter_is_the_callers_own(v2: httpx.AsyncClient) -> None:
    assert (await v2.post(_INFER, json=_body("a", parameters={"timeout": 1}))).status_code == 504
    told = (await v2.get("/metrics")).text
    counted = 'gateway_http_requests_total{method="POST",route="/v2/models/{name}/infer",'
    assert f'{counted}status="499"}} 1.0' in told


async def test_an_admin_key_for_one_model_neither_loads_nor_unloads_another(
    server: Server, serve: Serve, tmp_path: Path
) -> None:
    keys = KeysFile(tmp_path)
    admin = keys.add("admin", '["tiny"]', "admin = true")
    stranger = keys.add("stranger", '["else"]', "admin = true")
    settings = GatewaySettings(
        inference_target=f"dns:///127.0.0.1:{server.port}", keys_file=keys.path, admin_calls=True
    )
    async with serve(settings) as v2:
        for call in ("load", "unload"):
            path = f"/v2/repository/models/tiny/{call}"
            answers = [await v2.post(path, headers=header) for header in (admin, stranger)]
            said = [answer.json()["error"] for answer in answers]
            assert [answer.status_code for answer in answers] == [403, 403]
            assert "model control is off" in said[0], "the inference service's own word"
            assert "name one that is in its scope" in said[1]


async def test_with_keys_the_scope_counts_and_admin_calls_need_theirs(
    server: Server, serve: Serve, tmp_path: Path
) -> None:
    keys = KeysFile(tmp_path)
    plain, stranger = keys.add("plain", '["tiny"]'), keys.add("stranger", '["else"]')
    admin = keys.add("admin", more="admin = true")
    settings = GatewaySettings(
        inference_target=f"dns:///127.0.0.1:{server.port}",
        keys_file=keys.path,
        admin_calls=True,
    )
    async with serve(settings) as v2:
        assert (await v2.get("/v2/health/ready")).status_code == 200
        assert (await v2.get("/v2")).status_code == 401
        assert "error" in (await v2.get("/v2")).json()
        infer, load = "/v2/models/tiny/infer", "/v2/repository/models/tiny/load"
        answers = [await v2.post(infer, json=_body("Paris"), headers=h) for h in (plain, stranger)]
        assert [answer.status_code for answer in answers] == [200, 403]
        index = "/v2/repository/index"
        shown = [(await v2.post(index, headers=h)).json() for h in (plain, stranger)]
        assert [len(models) for models in shown] == [2, 0]
        refused = [(await v2.post(load, headers=h)).json()["error"] for h in (plain, admin)]
        assert "admin scope" in refused[0]
        assert "model control is off" in refused[1], "the inference service's own word"
    async with serve(settings.model_copy(update={"admin_calls": False})) as v2:
        answer = await v2.post(load, headers=admin)
        assert answer.status_code == 403
        assert "GATEWAY_ADMIN_CALLS" in answer.json()["error"]
