"""The connection to the inference service."""

import asyncio
from typing import TYPE_CHECKING, Any, Final, TypeVar

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gateway.channel import ChannelFiles, ChannelSecurity
from gateway.recognition_stream import RecognitionStream
from gateway.rpc_status import error_from_call
from gateway.service_config import service_config
from protos.inference.open_inference_pb2_grpc import GRPCInferenceServiceStub
from protos.ner.v1 import entity_recognizer_pb2 as pb
from protos.ner.v1 import entity_recognizer_pb2_grpc as pb_grpc
from telemetry import request_id as request_ids

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from protos.inference.open_inference_pb2_grpc import GRPCInferenceServiceAsyncStub

Request = TypeVar("Request")
Response = TypeVar("Response")

# A server that is back must be found before the last repetition of a call (`service_config`), so
# that the next may be restarted as soon as it listens. Between attempts calls fail at once
# (wait_for_ready stays off): waiting would only hide the outage and pile up requests.
_FIRST_BACKOFF_MS: Final = 100
_MAX_BACKOFF_MS: Final = 250
# gRPC's name for the least time that one attempt to connect may take.
_CONNECT_TIMEOUT_MS: Final = 1000
# A restarted container has a new address; gRPC's default asks for it every 30 s at most.
_DNS_INTERVAL_MS: Final = 1000
# A replica that stands still, or a network that swallows everything, is found within 20 s, when a
# request of 30 s can still be asked of another. The inference service permits a ping every 10 s.
KEEPALIVE_INTERVAL_MS: Final = 15_000
_KEEPALIVE_TIMEOUT_MS: Final = 5_000

# A method of a stub.
UnaryCall = grpc.aio.UnaryUnaryMultiCallable
# How soon new certificates are used, and how long calls on the old channel may still take.
_RENEW_EVERY_S: Final = 1.0
_OLD_CALLS_S: Final = 60.0

# The health service's name for the server as a whole.
_WHOLE_SERVER: Final = ""


class InferenceClient:
    """One channel to every replica of the inference service; closed by `aclose`.

    Args:
        target: gRPC target, such as `dns:///inference:50051`.
        max_message_bytes: largest message, either way.
        files: what secures the channel; by default nothing.
        interceptors: around every call.

    Raises:
        CredentialInvalid: a file that secures the channel cannot be used.
    """

    def __init__(
        self,
        target: str,
        max_message_bytes: int,
        files: ChannelFiles | None = None,
        interceptors: "Sequence[Any]" = (),
    ) -> None:
        self._interceptors: Final = tuple(interceptors)
        self._target: Final = target
        self._max_message_bytes: Final = max_message_bytes
        self._security: Final = ChannelSecurity(files or ChannelFiles())
        self._channel: grpc.aio.Channel | None = None
        self._renewal: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Make the channel; it belongs to the running event loop and connects by itself."""
        secured_by = self._security.current
        self._connect()
        if secured_by is not None:
            self._renewal = asyncio.create_task(self._renew(secured_by))

    async def aclose(self) -> None:
        """Close the channel; calls that still run are cancelled."""
        renewal, self._renewal = self._renewal, None
        if renewal is not None:
            renewal.cancel()
            await asyncio.wait([renewal])
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close(grace=None)

    def _connect(self) -> None:
        channel = self._security.open(self._target, self._options(), self._interceptors)
        self._channel = channel
        self._recognizer = pb_grpc.EntityRecognizerStub(channel)
        self._open_inference: GRPCInferenceServiceAsyncStub = GRPCInferenceServiceStub(channel)
        self._health = health_pb2_grpc.HealthStub(channel)
        # Connect now, so that the first request does not pay for it.
        channel.get_state(try_to_connect=True)

    async def _renew(self, secured_by: object) -> None:
        """Change to a new channel when the certificates do; calls on the old one end first.

        A channel keeps the certificates that it was made with. Cancelling closes the old channels.
        """
        async with asyncio.TaskGroup() as closing:
            while True:
                await asyncio.sleep(_RENEW_EVERY_S)
                newest = self._security.current
                if newest is secured_by or self._channel is None:
                    continue
                secured_by, old = newest, self._channel
                self._connect()
                closing.create_task(old.close(grace=_OLD_CALLS_S))

    async def recognize(
        self, request: pb.RecognizeRequest, timeout_s: float, request_id: str
    ) -> pb.RecognizeResponse:
        """Find the entities of texts.

        Cancelling the caller cancels the call, and the inference service drops its work.

        Args:
            request: the texts and options.
            timeout_s: seconds until the call is given up.
            request_id: travels as metadata into the logs of the inference service.

        Raises:
            GatewayError: the call failed as a whole.
        """
        try:
            return await self._recognizer.Recognize(
                request, timeout=timeout_s, metadata=((request_ids.HEADER, request_id),)
            )
        except grpc.aio.AioRpcError as error:
            raise error_from_call(error, request_id) from error

    async def classify(
        self, request: pb.ClassifyRequest, timeout_s: float, request_id: str
    ) -> pb.ClassifyResponse:
        """Classify the tokens of texts; cancelling the caller cancels the call.

        Raises:
            GatewayError: the call failed as a whole.
        """
        try:
            return await self._recognizer.Classify(
                request, timeout=timeout_s, metadata=((request_ids.HEADER, request_id),)
            )
        except grpc.aio.AioRpcError as error:
            raise error_from_call(error, request_id) from error

    async def open_stream(
        self, start: pb.RecognizeStreamStart, timeout_s: float, request_id: str
    ) -> RecognitionStream:
        """Open a stream with these options; its owner closes it.

        Args:
            start: the options of every item.
            timeout_s: seconds until they must have been accepted.
            request_id: travels as metadata into the logs of the inference service.

        Raises:
            GatewayError: the options are refused.
        """
        call = self._recognizer.RecognizeStream(  # type: ignore[call-arg]  # it is optional
            metadata=((request_ids.HEADER, request_id),)
        )
        stream = RecognitionStream(call, request_id)
        try:
            await stream.start(start, timeout_s)
        except BaseException:
            stream.close()
            raise
        return stream

    async def list_models(self, timeout_s: float, request_id: str) -> pb.ListModelsResponse:
        """List every model and version; cancelling the caller cancels the call.

        Raises:
            GatewayError: the call failed.
        """
        try:
            return await self._recognizer.ListModels(
                pb.ListModelsRequest(),
                timeout=timeout_s,
                metadata=((request_ids.HEADER, request_id),),
            )
        except grpc.aio.AioRpcError as error:
            raise error_from_call(error, request_id) from error

    async def open_inference(
        self,
        method: "Callable[[GRPCInferenceServiceAsyncStub], UnaryCall[Request, Response]]",
        request: Request,
        timeout_s: float,
        request_id: str,
    ) -> Response:
        """Make one call of the Open Inference Protocol; cancelling the caller cancels the call.

        Args:
            method: takes the call from its stub.
            request: of that call.
            timeout_s: seconds until the call is given up.
            request_id: travels as metadata into the logs of the inference service.

        Raises:
            GatewayError: the call failed.
        """
        try:
            return await method(self._open_inference)(
                request, timeout=timeout_s, metadata=((request_ids.HEADER, request_id),)
            )
        except grpc.aio.AioRpcError as error:
            raise error_from_call(error, request_id) from error

    async def ready(self, timeout_s: float) -> bool:
        """Say whether a replica answers that it serves, within `timeout_s` seconds."""
        try:
            answer = await self._health.Check(
                health_pb2.HealthCheckRequest(service=_WHOLE_SERVER), timeout=timeout_s
            )
        except grpc.aio.AioRpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    def _options(self) -> list[tuple[str, Any]]:
        return [
            ("grpc.service_config", service_config()),
            # A call that is larger than this cannot be repeated; gRPC's default is 256 KiB.
            ("grpc.per_rpc_retry_buffer_size", self._max_message_bytes),
            ("grpc.service_config_disable_resolution", 1),
            ("grpc.initial_reconnect_backoff_ms", _FIRST_BACKOFF_MS),
            ("grpc.max_reconnect_backoff_ms", _MAX_BACKOFF_MS),
            ("grpc.min_reconnect_backoff_ms", _CONNECT_TIMEOUT_MS),
            ("grpc.dns_min_time_between_resolutions_ms", _DNS_INTERVAL_MS),
            ("grpc.keepalive_time_ms", KEEPALIVE_INTERVAL_MS),
            ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
            # Without it a ping of the keepalive is waited for 60 s, whatever its timeout says.
            ("grpc.http2.ping_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
            ("grpc.keepalive_permit_without_calls", 0),
            ("grpc.max_send_message_length", self._max_message_bytes),
            ("grpc.max_receive_message_length", self._max_message_bytes),
            # An HTTP proxy of the environment is meant for the outside, not for the next container.
            ("grpc.enable_http_proxy", 0),
            # Channels to one address would share their backoff otherwise.
            ("grpc.use_local_subchannel_pool", 1),
        ]
