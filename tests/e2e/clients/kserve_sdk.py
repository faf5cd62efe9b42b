"""Asks a running Nerve by KServe's clients, REST and gRPC.

A process of its own: the package registers its own messages under the names of ours. Reads what to
ask from standard input and writes what was answered to standard output, both as JSON.
"""

import asyncio
import json
import sys
from typing import Any

import grpc
import httpx
import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, InferResponse
from kserve.inference_client import RESTConfig

Asked = dict[str, Any]


def _request(asked: Asked, *, binary: bool, **options: Any) -> InferRequest:
    tensor = InferInput("text", [len(asked["texts"])], "BYTES")
    array = np.array([text.encode() for text in asked["texts"]], dtype=np.object_)
    tensor.set_data_from_numpy(array, binary_data=binary)
    return InferRequest(asked["model"], [tensor], request_id="7", **options)


def _found(response: InferResponse) -> list[Any]:
    (output,) = response.outputs
    return [json.loads(element) for element in output.as_numpy().tolist()]


async def _rest(asked: Asked) -> dict[str, Any]:
    model = asked["model"]
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:

        async def infer(**options: Any) -> InferResponse:
            return await client.infer(asked["url"], _request(asked, **options), model)

        try:
            await client.infer(asked["url"], _request(asked, binary=False), "unknown")
            raise AssertionError("not refused")
        except httpx.HTTPStatusError as error:
            unknown = {"status": str(error.response.status_code), "message": str(error)}
        outputs = {"binary_data_output": True}
        answered = await infer(binary=False)
        return {
            "ways": {
                "json": _found(answered),
                "binary": _found(await infer(binary=True)),
                "binary out": _found(await infer(binary=True, parameters=outputs)),
            },
            "options": _found(await infer(binary=False, parameters=asked["parameters"])),
            "id": answered.id,
            "live": await client.is_server_live(asked["url"]),
            "ready": await client.is_server_ready(asked["url"]),
            "model ready": await client.is_model_ready(asked["url"], model),
            "unknown ready": await client.is_model_ready(asked["url"], "unknown"),
            "unknown": unknown,
        }


async def _grpc(asked: Asked) -> dict[str, Any]:
    model = asked["model"]
    async with InferenceGRPCClient(asked["grpc"]) as client:
        answered = await client.infer(_request(asked, binary=True))
        # The package's own messages have no double: a score goes as a string.
        parameters = {key: str(value) for key, value in asked["parameters"].items()}
        options = await client.infer(_request(asked, binary=True, parameters=parameters))
        try:
            await client.infer(_request({**asked, "model": "unknown"}, binary=True))
            raise AssertionError("not refused")
        except grpc.RpcError as error:
            unknown = {"status": str(error.code()), "message": error.details()}
        return {
            "ways": {
                "raw": _found(answered),
                "contents": _found(await client.infer(_request(asked, binary=False))),
            },
            "options": _found(options),
            "id": answered.id,
            "live": await client.is_server_live(),
            "ready": await client.is_server_ready(),
            "model ready": await client.is_model_ready(model),
            "unknown ready": await client.is_model_ready("unknown"),
            "unknown": unknown,
        }


async def _main() -> None:
    asked = json.load(sys.stdin)
    json.dump({"rest": await _rest(asked), "grpc": await _grpc(asked)}, sys.stdout)


if __name__ == "__main__":
    asyncio.run(_main())
