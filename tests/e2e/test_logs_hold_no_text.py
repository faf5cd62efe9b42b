"""What both services say at level debug, searched for what callers wrote."""

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from protos.inference import open_inference_pb2 as v2
from protos.inference.open_inference_pb2_grpc import GRPCInferenceServiceStub
from protos.ner.v1 import entity_recognizer_pb2 as pb
from protos.ner.v1.entity_recognizer_pb2_grpc import EntityRecognizerStub
from tests.e2e.stack import WAIT_S, Process, serving
from tests.stopped import stop

pytestmark = pytest.mark.timeout(180)

_MARK = "Quibblethwaite"
_TEXT = f"Angela {_MARK} met Tim Cook in Seoul."
_TENSOR = {"name": "text", "shape": [1], "datatype": "BYTES", "data": [_TEXT]}
_STATUSES = {200, 400, 403, 404, 405, 413, 415, 422, 504}

# Path and JSON of calls that are answered, and of calls that are wrong in as many ways.
_CALLS: list[tuple[str, Any]] = [
    ("/v1/entities", {"text": _TEXT}),
    ("/v1/entities", {"texts": [_TEXT, "", _TEXT * 40]}),
    ("/api", _TEXT),
    ("/models/ner-en", {"inputs": _TEXT}),
    ("/v2/models/ner-en/infer", {"inputs": [_TENSOR]}),
    ("/v1/entities", {"text": _TEXT, "labels": [_MARK]}),
    ("/v1/entities", {"text": _TEXT, "model": _MARK}),
    ("/v1/entities", {"text": _TEXT, "version": _MARK}),
    ("/v1/entities", {"text": _TEXT, "aggregation": _MARK}),
    ("/v1/entities", {"text": _TEXT, _MARK: 1}),
    ("/v1/entities", {"text": [_MARK]}),
    ("/v1/entities", {"text": _TEXT + "a" * 200_001}),
    ("/api", {"text": _TEXT}),
    (f"/models/{_MARK}", {"inputs": _TEXT}),
    ("/models/ner-en", {"inputs": _TEXT, "parameters": {"aggregation_strategy": _MARK}}),
    ("/v2/models/ner-en/infer", {"inputs": [{**_TENSOR, "name": _MARK}]}),
    ("/v2/models/ner-en/infer", {"inputs": [_TENSOR], "parameters": {_MARK: _MARK}}),
    (f"/v2/repository/models/{_MARK}/load", {}),
    (f"/v1/{_MARK}", _TEXT),
]


async def _over_rest(client: httpx.AsyncClient) -> None:
    url = "/v1/entities"
    for path, body in _CALLS:
        assert (await client.post(path, json=body)).status_code in _STATUSES, path
    for content in (
        _TEXT.encode(),
        f'{{"text": "{_MARK}'.encode(),
        f'"{_MARK}\xff'.encode("latin-1"),
    ):
        answer = await client.post(
            url, content=content, headers={"content-type": "application/json"}
        )
        assert answer.status_code in _STATUSES
    lines = f'{{"text": "{_TEXT}"}}\n{{"text": "{_MARK}\n{{"{_MARK}": 1}}\n'.encode()
    assert (await client.post(f"{url}:stream", content=lines)).status_code == 200
    assert (await client.post(f"{url}:stream?labels={_MARK}", content=lines)).status_code == 422
    for headers in (
        {"x-request-timeout-ms": _MARK},
        {"content-type": f"text/{_MARK}"},
        {"x-request-id": f"{_TEXT}"},
        {"traceparent": _MARK},
        {"x-request-timeout-ms": "1"},
    ):
        answer = await client.post(url, json={"text": _TEXT * 40}, headers=headers)
        assert answer.status_code in _STATUSES
    assert (await client.get(f"/{_MARK}?{_MARK}={_MARK}")).status_code == 404
    assert (await client.request("DELETE", url, content=_TEXT)).status_code == 405


async def _over_grpc(address: str) -> None:
    async with grpc.aio.insecure_channel(address) as channel:
        ours, theirs = EntityRecognizerStub(channel), GRPCInferenceServiceStub(channel)
        await ours.Recognize(pb.RecognizeRequest(texts=[_TEXT]), timeout=WAIT_S)
        options = pb.RecognizeOptions(labels=[_MARK])
        broken = v2.ModelInferRequest(model_name="ner-en", id=_MARK, raw_input_contents=[b"\xff"])
        for call in (
            ours.Recognize(pb.RecognizeRequest(texts=[_TEXT], options=options), timeout=WAIT_S),
            ours.Recognize(pb.RecognizeRequest(texts=[_TEXT], model=_MARK), timeout=WAIT_S),
            ours.Recognize(pb.RecognizeRequest(texts=[_TEXT] * 200), timeout=0.001),
            ours.Classify(pb.ClassifyRequest(texts=[_TEXT], model=_MARK), timeout=WAIT_S),
            theirs.ModelInfer(broken, timeout=WAIT_S),
        ):
            with pytest.raises(grpc.aio.AioRpcError):
                await call
        name = "/ner.v1.EntityRecognizer/Recognize"
        method = channel.unary_unary(name, _as_it_is, _as_it_is)
        with pytest.raises(grpc.aio.AioRpcError):
            await method(_TEXT.encode(), timeout=WAIT_S)  # no protobuf at all


def _as_it_is(message: bytes) -> bytes:
    return message


async def _work(stack: Process) -> None:
    async with httpx.AsyncClient(base_url=stack.ports.url, timeout=WAIT_S) as client:
        await _over_rest(client)
        await _over_grpc(stack.ports.grpc_address)
        inference = stack.service("inference")
        stop(inference)
        late = await client.post(
            "/v1/entities", json={"text": _TEXT}, headers={"x-request-timeout-ms": "200"}
        )
        inference.send_signal(signal.SIGCONT)
        assert late.status_code == 504


def test_no_line_holds_what_a_caller_wrote(tmp_path: Path) -> None:
    levels = {"GATEWAY_LOG_LEVEL": "debug", "INFERENCE_LOG_LEVEL": "debug"}
    with serving(tmp_path, **levels) as stack:
        asyncio.run(_work(stack))
        stack.interrupt()
        assert stack.wait() == 0
        said = stack.said()
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    requests = [line for line in lines if line["event"] == "request"]
    assert len(requests) > len(_CALLS)
    assert all(line["request_id"] for line in requests)
    assert {"MODEL_NOT_FOUND", "LABEL_UNKNOWN", "DEADLINE_EXCEEDED"} <= _reasons(requests)
    assert [line for line in said.splitlines() if _MARK.lower() in line.lower()] == []


def _reasons(lines: list[dict[str, Any]]) -> set[str]:
    return {line["reason"] for line in lines if "reason" in line}
