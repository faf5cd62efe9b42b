"""One `RecognizeStream` call to the inference service."""

import asyncio
from typing import Final, TypeAlias

import grpc

from gateway.errors import INTERNAL_DETAIL, GatewayError, Reason
from gateway.rpc_status import error_from_call
from protos.ner.v1 import entity_recognizer_pb2 as pb

Call: TypeAlias = (  # not generic at run time
    "grpc.aio.StreamStreamCall[pb.RecognizeStreamRequest, pb.RecognizeStreamResponse]"
)

# What the inference service says once it has accepted the options of a stream.
_ACCEPTED: Final = ("nerve-stream", "accepted")


# What gRPC's client makes of a call that ends while it writes: the server's own status is lost.
# Source: grpc.aio `_call.py`, `StreamRequestMixin._write`, and `set_internal_error`.
_ENDED_UNDER_WRITE: Final = "Internal error from Core"
_ENDED: Final = "the inference server ended the stream: send again what was not answered"


class RecognitionStream:
    """Items out, answers in; closed by `close`.

    Args:
        call: not yet written to.
        request_id: for the log.
    """

    def __init__(self, call: Call, request_id: str) -> None:
        self._call: Final = call
        self._request_id: Final = request_id

    async def start(self, start: pb.RecognizeStreamStart, timeout_s: float) -> None:
        """Send the options and wait until they are accepted.

        Raises:
            GatewayError: they are not, or not within `timeout_s` seconds.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await self._write(pb.RecognizeStreamRequest(start=start))
                metadata = await self._call.initial_metadata()
                if _ACCEPTED not in [tuple(pair) for pair in metadata]:
                    await self.read()
                    raise GatewayError(Reason.INTERNAL, INTERNAL_DETAIL)
        except TimeoutError:
            raise GatewayError(
                Reason.DEADLINE_EXCEEDED, "the deadline passed before the stream was accepted"
            ) from None

    async def write(self, number: int, text: str) -> bool:
        """Send an item; waits while the inference service takes no more.

        Returns:
            Whether it was sent; if not, `read` raises why.
        """
        item = pb.RecognizeStreamItem(id=str(number), text=text)
        return await self._write(pb.RecognizeStreamRequest(item=item))

    async def done_writing(self) -> None:
        """Say that no further item comes; if that cannot be said any more, `read` raises why."""
        if self._call.done():
            return
        try:
            await self._call.done_writing()
        except asyncio.CancelledError:
            if not self._is_cut():
                raise

    async def read(self) -> pb.RecognizeStreamResponse:
        """Wait for the next answer.

        Raises:
            GatewayError: there is none, and will be none.
        """
        try:
            response = await self._call.read()
        except grpc.aio.AioRpcError as error:
            if error.details() == _ENDED_UNDER_WRITE:
                raise GatewayError(Reason.INFERENCE_UNAVAILABLE, _ENDED) from error
            raise error_from_call(error, self._request_id) from error
        except asyncio.CancelledError:
            if not self._is_cut():
                raise
            raise GatewayError(Reason.INFERENCE_UNAVAILABLE, _ENDED) from None
        if not isinstance(response, pb.RecognizeStreamResponse):
            raise GatewayError(Reason.INTERNAL, INTERNAL_DETAIL)
        return response

    def close(self) -> None:
        """End the call; the inference service drops what it has not answered."""
        self._call.cancel()

    async def _write(self, message: pb.RecognizeStreamRequest) -> bool:
        try:
            await self._call.write(message)
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            return False
        except asyncio.CancelledError:
            if not self._is_cut():
                raise
            return False
        return True

    def _is_cut(self) -> bool:
        """Whether the call was cancelled under the task that waits for it, and not with it.

        So it ends when its channel is closed, and gRPC raises what looks like the task's own end.
        """
        task = asyncio.current_task()
        return self._call.cancelled() and task is not None and not task.cancelling()
