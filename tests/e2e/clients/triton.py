"""Asks a running Nerve by NVIDIA's `tritonclient`, in every way that it knows.

A process of its own: the package registers its own messages under the names of ours. Reads what to
ask from standard input and writes what was answered to standard output, both as JSON.
"""

import asyncio
import json
import queue
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import tritonclient.grpc
import tritonclient.grpc.aio
import tritonclient.http
import tritonclient.http.aio
from tritonclient.utils import InferenceServerException

Asked = dict[str, Any]


def _input(package: Any, texts: list[str], column: bool = False, **options: Any) -> list[Any]:
    array = np.array([text.encode() for text in texts], dtype=np.object_)
    array = array.reshape(-1, 1) if column else array
    tensor = package.InferInput("text", list(array.shape), "BYTES")
    tensor.set_data_from_numpy(array, **options)
    return [tensor]


def _found(result: Any) -> list[Any]:
    return [json.loads(element) for element in result.as_numpy("entities")]


def _refusal(call: Callable[[], Any]) -> dict[str, Any]:
    try:
        call()
    except InferenceServerException as error:
        return {"status": error.status(), "message": error.message()}
    raise AssertionError("not refused")


def _http(asked: Asked) -> dict[str, Any]:
    model, texts = asked["model"], asked["texts"]
    with tritonclient.http.InferenceServerClient(asked["http"]) as client:
        binary = _input(tritonclient.http, texts)
        in_json = _input(tritonclient.http, texts, binary_data=False)
        wanted = [tritonclient.http.InferRequestedOutput("entities", binary_data=False)]
        with_id = client.infer(model, binary, request_id="7", model_version=asked["version"])
        ways = {
            "binary": _found(with_id),
            "column": _found(client.infer(model, _input(tritonclient.http, texts, column=True))),
            "json": _found(client.infer(model, in_json, outputs=wanted)),
            "json in, binary out": _found(client.infer(model, in_json)),
            "binary in, json out": _found(client.infer(model, binary, outputs=wanted)),
            "async": _found(client.async_infer(model, binary).get_result()),
        }
        for coding in ("gzip", "deflate"):
            packed = client.infer(model, binary, request_compression_algorithm=coding)
            ways[coding] = _found(packed)
        options = client.infer(model, binary, parameters=asked["parameters"])
        return {
            "ways": ways,
            "options": _found(options),
            "id": with_id.get_response()["id"],
            "live": client.is_server_live(),
            "ready": client.is_server_ready(),
            "model ready": client.is_model_ready(model),
            "unknown ready": client.is_model_ready("unknown"),
            "server": client.get_server_metadata(),
            "model": client.get_model_metadata(model),
            "index": client.get_model_repository_index(),
            "unknown": _refusal(lambda: client.infer("unknown", binary)),
            "misspelt": _refusal(lambda: client.infer(model, binary, parameters={"lables": "X"})),
            "load": _refusal(lambda: client.load_model(model)),
            "unload": _refusal(lambda: client.unload_model(model)),
        }


async def _http_aio(asked: Asked) -> dict[str, Any]:
    async with tritonclient.http.aio.InferenceServerClient(asked["http"]) as client:
        tensors = _input(tritonclient.http.aio, asked["texts"])
        return {
            "ways": {"aio": _found(await client.infer(asked["model"], tensors))},
            "live": await client.is_server_live(),
            "model ready": await client.is_model_ready(asked["model"]),
        }


def _grpc(asked: Asked) -> dict[str, Any]:
    model, texts = asked["model"], asked["texts"]
    with tritonclient.grpc.InferenceServerClient(asked["grpc"]) as client:
        tensors = _input(tritonclient.grpc, texts)
        wanted = [tritonclient.grpc.InferRequestedOutput("entities")]
        with_id = client.infer(model, tensors, request_id="7", model_version=asked["version"])
        answers: queue.Queue[Any] = queue.Queue()
        client.async_infer(model, tensors, lambda result, error: answers.put((result, error)))
        asynchronous, error = answers.get(timeout=60)
        assert error is None, error
        return {
            "ways": {
                "raw": _found(with_id),
                "column": _found(client.infer(model, _input(tritonclient.grpc, texts, True))),
                "output asked for": _found(client.infer(model, tensors, outputs=wanted)),
                "async": _found(asynchronous),
                "gzip": _found(client.infer(model, tensors, compression_algorithm="gzip")),
                "stream": _streamed(client, asked),
            },
            "options": _found(client.infer(model, tensors, parameters=asked["parameters"])),
            "id": with_id.get_response().id,
            "live": client.is_server_live(),
            "ready": client.is_server_ready(),
            "model ready": client.is_model_ready(model),
            "unknown ready": client.is_model_ready("unknown"),
            "server": client.get_server_metadata(as_json=True),
            "model": client.get_model_metadata(model, as_json=True),
            "index": client.get_model_repository_index(as_json=True)["models"],
            "unknown": _refusal(lambda: client.infer("unknown", tensors)),
            "misspelt": _refusal(lambda: client.infer(model, tensors, parameters={"lables": "X"})),
            "load": _refusal(lambda: client.load_model(model)),
            "unload": _refusal(lambda: client.unload_model(model)),
        }


def _streamed(client: Any, asked: Asked) -> list[Any]:
    """Each text as an item of one stream, an item that must fail among them."""
    answers: queue.Queue[Any] = queue.Queue()
    client.start_stream(lambda result, error: answers.put((result, error)))
    for number, text in enumerate(asked["texts"]):
        client.async_stream_infer(
            asked["model"],
            _input(tritonclient.grpc, [text]),
            request_id=str(number),
            enable_empty_final_response=True,
        )
    client.async_stream_infer("unknown", _input(tritonclient.grpc, ["x"]))
    client.async_stream_infer(asked["model"], _input(tritonclient.grpc, ["x"]), request_id="last")
    found = []
    for number in range(len(asked["texts"])):
        result, error = answers.get(timeout=60)
        assert error is None, error
        assert result.get_response().id == str(number), "answers are out of order"
        found += _found(result)
    _, error = answers.get(timeout=60)
    assert "no such model" in error.message(), error
    result, _ = answers.get(timeout=60)
    assert result.get_response().id == "last"
    client.stop_stream()
    return found


async def _grpc_aio(asked: Asked) -> dict[str, Any]:
    async def requests() -> Any:
        for text in asked["texts"]:
            tensors = _input(tritonclient.grpc.aio, [text])
            yield {"model_name": asked["model"], "inputs": tensors}

    async with tritonclient.grpc.aio.InferenceServerClient(asked["grpc"]) as client:
        tensors = _input(tritonclient.grpc.aio, asked["texts"])
        streamed = []
        async for result, error in client.stream_infer(requests()):
            assert error is None, error
            streamed += _found(result)
        return {
            "ways": {
                "aio": _found(await client.infer(asked["model"], tensors)),
                "aio stream": streamed,
            },
            "live": await client.is_server_live(),
            "model ready": await client.is_model_ready(asked["model"]),
        }


def main() -> None:
    """Asks in every way."""
    asked = json.load(sys.stdin)
    answers = {
        "http": _http(asked),
        "http aio": asyncio.run(_http_aio(asked)),
        "grpc": _grpc(asked),
        "grpc aio": asyncio.run(_grpc_aio(asked)),
    }
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
