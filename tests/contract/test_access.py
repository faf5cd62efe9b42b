"""Who may call the inference service: keys, TLS and mTLS, and the gateway's part in them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from credentials.certificates import ClientTlsFiles
from credentials.errors import CredentialInvalid
from gateway.channel import ChannelFiles
from gateway.client import InferenceClient
from gateway.errors import GatewayError, Reason
from inference import server as server_module
from inference.access import ADMIN_METHODS
from inference.metrics import Metrics
from inference.repository import Repository
from inference.server import Server
from inference.settings import Settings
from protos.ner.v1 import entity_recognizer_pb2 as pb
from protos.ner.v1.entity_recognizer_pb2_grpc import EntityRecognizerStub
from tests.certificates import Authority, Issued
from tests.gateway.keys_file import KeysFile
from tests.gateway.polling import until
from tests.tiny_model import write_version

_MIB = 1024 * 1024
_CALL = pb.RecognizeRequest(texts=["Paris"])
_OK = grpc.StatusCode.OK

Serve = Callable[..., AbstractAsyncContextManager[Server]]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model repository."""
    folder = tmp_path_factory.mktemp("models")
    write_version(folder / "tiny" / "1")
    return folder


@pytest.fixture
def serve(models: Path) -> Serve:
    """Makes a context in which a service with these settings runs."""

    @asynccontextmanager
    async def serve(**changed: Any) -> AsyncIterator[Server]:
        settings = Settings(host="127.0.0.1", port=0, workers=1, **changed)
        repository = Repository.load(models, "", settings.window_tokens, threads=1)
        server = Server(settings, repository, Metrics())
        await server.start()
        yield server
        await server.drain()

    return serve


@pytest.fixture
def keys(tmp_path: Path) -> KeysFile:
    """A keys file."""
    return KeysFile(tmp_path)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Signs the certificates of both services."""
    return Authority(tmp_path, "ours")


@pytest.fixture
def served(authority: Authority) -> Issued:
    """The inference service's certificate."""
    return authority.issue("inference")


async def _status(
    channel: grpc.aio.Channel, metadata: tuple[tuple[str, str], ...] = ()
) -> grpc.StatusCode:
    try:
        await EntityRecognizerStub(channel).Recognize(_CALL, timeout=10, metadata=metadata)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return _OK


async def _status_of(channel: grpc.aio.Channel, method: str, key: str) -> grpc.StatusCode:
    try:
        call = channel.unary_unary(method, _as_it_is, _as_it_is)
        await call(b"", timeout=10, metadata=(("authorization", key),))
    except grpc.aio.AioRpcError as error:
        return error.code()
    return _OK


def _as_it_is(message: bytes) -> bytes:
    return message


async def _never() -> AsyncIterator[bytes]:
    """Messages that never come."""
    await asyncio.Event().wait()
    yield b""


def _plain(server: Server) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(f"127.0.0.1:{server.port}")


async def test_without_a_valid_key_nothing_but_health_answers(serve: Serve, keys: KeysFile) -> None:
    good = keys.add("gateway")["authorization"]
    async with serve(tokens_file=keys.path) as server, _plain(server) as channel:
        refused = grpc.StatusCode.UNAUTHENTICATED
        assert await _status(channel) == refused
        for value in ("", "Bearer", "Bearer nerve_wrong", good.removeprefix("Bearer ")):
            assert await _status(channel, (("authorization", value),)) == refused
        assert await _status(channel, (("authorization", good),) * 2) == refused
        assert await _status(channel, (("authorization", good),)) == _OK
        for method in (
            "/ner.v1.EntityRecognizer/ListModels",
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
            "/nowhere.Service/Method",
            "/grpc.health.v1.HealthCheck/Check",
        ):
            assert await _status_of(channel, method, "Bearer x") == refused
        health = health_pb2_grpc.HealthStub(channel)
        answer = await health.Check(health_pb2.HealthCheckRequest(), timeout=10)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_admin_calls_need_a_key_with_that_scope(serve: Serve, keys: KeysFile) -> None:
    plain = keys.add("plain")["authorization"]
    admin = keys.add("admin", more="admin = true")["authorization"]
    async with serve(tokens_file=keys.path) as server, _plain(server) as channel:
        for method in ADMIN_METHODS:
            denied = grpc.StatusCode.PERMISSION_DENIED
            assert await _status_of(channel, method, plain) == denied
            assert await _status_of(channel, method, admin) != denied


async def test_a_stream_without_a_key_ends_before_it_is_read(serve: Serve, keys: KeysFile) -> None:
    """Its caller need not send a message to be refused."""
    async with serve(tokens_file=keys.path) as server, _plain(server) as channel:
        method = "/ner.v1.EntityRecognizer/RecognizeStream"
        call = channel.stream_stream(method, _as_it_is, _as_it_is)(_never(), timeout=10)
        async with asyncio.timeout(10):
            assert await call.code() == grpc.StatusCode.UNAUTHENTICATED


async def test_keys_change_without_a_restart(serve: Serve, keys: KeysFile) -> None:
    old = (("authorization", keys.add("old")["authorization"]),)
    async with serve(tokens_file=keys.path) as server, _plain(server) as channel:
        assert await _status(channel, old) == _OK
        new = (("authorization", keys.add("new")["authorization"]),)
        keys.remove("old")

        async def changed() -> bool:
            return await _status(channel, new) == _OK

        await until(changed)
        assert await _status(channel, old) == grpc.StatusCode.UNAUTHENTICATED


async def test_a_scope_that_the_service_does_not_keep_is_refused_at_the_start(
    serve: Serve, keys: KeysFile
) -> None:
    keys.add("narrow", '["tiny"]')
    with pytest.raises(CredentialInvalid, match="narrow"):
        async with serve(tokens_file=keys.path):
            pass


async def _served_to(server: Server, files: ChannelFiles) -> Reason | None:
    """How the gateway fares with these files; None: it is answered."""
    client = InferenceClient(f"dns:///localhost:{server.port}", _MIB, files)
    await client.open()
    try:
        await client.recognize(_CALL, 10, "id")
    except GatewayError as error:
        return error.reason
    finally:
        await client.aclose()
    return None


def _token(tmp_path: Path, header: dict[str, str]) -> Path:
    path = tmp_path / "token"
    path.write_text(header["authorization"].removeprefix("Bearer ") + "\n")
    return path


async def test_the_gateway_shows_its_key_and_a_new_one_without_a_restart(
    serve: Serve, keys: KeysFile, tmp_path: Path
) -> None:
    old = keys.add("gateway")
    token = _token(tmp_path, old)
    async with serve(tokens_file=keys.path) as server, _plain(server) as channel:
        assert await _served_to(server, ChannelFiles()) is Reason.INTERNAL
        client = InferenceClient(f"dns:///localhost:{server.port}", _MIB, ChannelFiles(token=token))
        await client.open()
        await client.recognize(_CALL, 10, "id")
        assert (await client.list_models(10, "id")).default_model == "tiny"
        assert await client.ready(10)
        _token(tmp_path, keys.add("renewed"))
        keys.remove("gateway")

        async def old_is_out() -> bool:
            shown = (("authorization", old["authorization"]),)
            return await _status(channel, shown) == grpc.StatusCode.UNAUTHENTICATED

        async def renewed() -> bool:
            try:
                await client.recognize(_CALL, 10, "id")
            except GatewayError:
                return False
            return True

        await until(old_is_out)
        await until(renewed)
        await client.aclose()


async def test_tls_is_served_and_only_the_right_authority_is_trusted(
    serve: Serve, authority: Authority, served: Issued, tmp_path: Path
) -> None:
    files = {"tls_cert_file": served.certificate, "tls_key_file": served.key}
    stranger = Authority(tmp_path, "another")
    async with serve(**files) as server:
        trusting = ChannelFiles(ClientTlsFiles(authority.file))
        assert await _served_to(server, trusting) is None
        gone = Reason.INFERENCE_UNAVAILABLE
        assert await _served_to(server, ChannelFiles()) is gone
        assert await _served_to(server, ChannelFiles(ClientTlsFiles(stranger.file))) is gone
        named = ChannelFiles(ClientTlsFiles(authority.file), server_name="inference.elsewhere")
        assert await _served_to(server, named) is gone


@pytest.mark.parametrize("secured", [False, True], ids=["plain", "tls"])
async def test_a_handshake_that_does_not_come_is_not_waited_for(
    serve: Serve, served: Issued, secured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = dict(server_module.CHANNEL_OPTIONS) | {"grpc.server_handshake_timeout_ms": 500}
    monkeypatch.setattr(server_module, "CHANNEL_OPTIONS", tuple(options.items()))
    files = {"tls_cert_file": served.certificate, "tls_key_file": served.key} if secured else {}
    async with serve(**files) as server, asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        # A plain server introduces itself first.
        while await reader.read(1024):
            pass
        writer.close()


async def test_with_mtls_only_certificates_of_the_authority_are_answered(
    serve: Serve, authority: Authority, served: Issued, tmp_path: Path
) -> None:
    """Not none, not one of another authority, not one that has expired."""
    files = {
        "tls_cert_file": served.certificate,
        "tls_key_file": served.key,
        "tls_client_ca_file": authority.file,
    }
    shown = {
        "none": None,
        "strange": Authority(tmp_path, "another").issue("stranger"),
        "expired": authority.issue("late", days=(-3, -1)),
        "ours": authority.issue("gateway"),
    }
    async with serve(**files) as server:
        outcomes = {}
        for name, own in shown.items():
            tls = ClientTlsFiles(
                authority.file, *((own.certificate, own.key) if own is not None else ())
            )
            outcomes[name] = await _served_to(server, ChannelFiles(tls))
    gone = Reason.INFERENCE_UNAVAILABLE
    assert outcomes == {"none": gone, "strange": gone, "expired": gone, "ours": None}


async def test_an_expired_certificate_of_the_service_is_refused(
    serve: Serve, authority: Authority
) -> None:
    late = authority.issue("late", days=(-3, -1))
    async with serve(tls_cert_file=late.certificate, tls_key_file=late.key) as server:
        outcome = await _served_to(server, ChannelFiles(ClientTlsFiles(authority.file)))
    assert outcome is Reason.INFERENCE_UNAVAILABLE


async def test_both_sides_take_new_certificates_while_they_serve(
    serve: Serve, authority: Authority, served: Issued, tmp_path: Path
) -> None:
    """A whole change of authority: first both are trusted, then both show new ones, then the old
    authority is trusted no more. No call fails on the way.
    """
    own = authority.issue("gateway")
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(authority.file.read_bytes())
    old_caller = ChannelFiles(ClientTlsFiles(trusted, *_copy(own, tmp_path / "kept")))
    files = {
        "tls_cert_file": served.certificate,
        "tls_key_file": served.key,
        "tls_client_ca_file": trusted,
    }
    async with serve(**files) as server:
        client = InferenceClient(
            f"dns:///localhost:{server.port}",
            _MIB,
            ChannelFiles(ClientTlsFiles(trusted, own.certificate, own.key)),
        )
        await client.open()
        stop = asyncio.Event()
        calls = asyncio.create_task(_call_until(stop, client))
        new = Authority(tmp_path / "new", "new")
        trusted.write_bytes(authority.file.read_bytes() + new.file.read_bytes())
        await asyncio.sleep(2.5)
        _replace(new.issue("inference-2"), served)
        _replace(new.issue("gateway-2"), own)
        await asyncio.sleep(2.5)
        trusted.write_bytes(new.file.read_bytes())

        async def old_is_out() -> bool:
            return await _served_to(server, old_caller) is not None

        await until(old_is_out, limit_s=10)
        stop.set()
        assert await calls > 10
        await client.aclose()


async def _call_until(stop: asyncio.Event, client: InferenceClient) -> int:
    calls = 0
    while not stop.is_set():
        await client.recognize(_CALL, 10, "id")
        calls += 1
        await asyncio.sleep(0.02)
    return calls


def _copy(issued: Issued, folder: Path) -> tuple[Path, Path]:
    folder.mkdir()
    certificate, key = folder / "own.pem", folder / "own.key"
    certificate.write_bytes(issued.certificate.read_bytes())
    key.write_bytes(issued.key.read_bytes())
    return certificate, key


def _replace(new: Issued, old: Issued) -> None:
    new.key.replace(old.key)
    new.certificate.replace(old.certificate)
