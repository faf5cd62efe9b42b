"""Models in a bucket: a real S3-compatible server on loopback, and the published signature."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import httpx
import pytest
from moto.server import ThreadedMotoServer

from inference.errors import FileWithheld, SourceUnreadable
from inference.mirror import Mirror
from inference.model_supply import supply_of
from inference.settings import Settings
from inference.sources.aws_signature import Credentials, signed_headers
from inference.sources.s3 import S3Source, Store
from inference.sources.source import RemoteFile
from inference.watcher import Watcher
from tests.live_models import Service, write_variant
from tests.tiny_model import write_manifest

pytestmark = [
    pytest.mark.timeout(60),
    # The server's libraries' own.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
_KEY = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")


class Bucket:
    """A bucket of the server, written with the official client."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id=_KEY.key_id,
            aws_secret_access_key=_KEY.secret,
        )
        self.client.create_bucket(Bucket="models")

    def upload(self, folder: Path, key: str) -> None:
        """Writes each file of a folder below a key."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                name = path.relative_to(folder).as_posix()
                self.client.upload_file(str(path), "models", f"{key}/{name}")

    def source(self, prefix: str = "prod") -> S3Source:
        """The bucket as a source."""
        return S3Source(f"s3://models/{prefix}", Store(_KEY, endpoint=self.endpoint))


def settings_of(endpoint: str, folder: Path) -> Settings:
    """Of a service that takes its models from the bucket."""
    return Settings(
        models_dir=folder / "cache",
        model_source="s3://models/prod",
        AWS_ACCESS_KEY_ID=_KEY.key_id,
        AWS_SECRET_ACCESS_KEY=_KEY.secret,
        AWS_ENDPOINT_URL=endpoint,
    )


@contextmanager
def relayed(
    endpoint: str, path: str, answer: Callable[[BaseHTTPRequestHandler], None]
) -> Iterator[str]:
    """A server that answers what another does, and one path by itself."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == path:
                answer(self)
                return
            key = {"authorization": self.headers["authorization"]}
            told = httpx.get(f"{endpoint}{self.path}", headers=key).raise_for_status()
            self.send_response(told.status_code)
            self.end_headers()
            self.wfile.write(told.content)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    # Servers of one process share what they hold.
    httpx.post(f"http://{host}:{port}/moto-api/reset").raise_for_status()
    yield Bucket(f"http://{host}:{port}")
    server.stop()


def test_the_signature_is_the_published_one() -> None:
    """The example "GET Bucket (List Objects)" of the S3 reference."""
    headers = signed_headers(
        "examplebucket.s3.amazonaws.com",
        "/",
        {"max-keys": "2", "prefix": "J"},
        Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        "us-east-1",
        datetime(2013, 5, 24, tzinfo=UTC),
    )
    assert headers["authorization"].endswith(
        "Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
    )


def test_the_secret_is_in_no_representation() -> None:
    shown = repr(Store(Credentials("id", "the-secret", "the-token")))
    assert "the-secret" not in shown
    assert "the-token" not in shown


def test_everything_below_the_prefix_is_listed_page_by_page(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "10")  # on a page; 1,000 elsewhere
    keys = [f"prod/tiny/1/file-{n} of ünï+code&.txt" for n in range(25)]
    for key in keys:
        bucket.client.put_object(Bucket="models", Key=key, Body=b"x")
    bucket.client.put_object(Bucket="models", Key="other/tiny/1/x", Body=b"x")
    listed = bucket.source().files()
    assert sorted(f"prod/{file.path}" for file in listed) == sorted(keys)
    assert {file.size_bytes for file in listed} == {1}


def test_a_folder_that_a_console_made_is_no_file(bucket: Bucket) -> None:
    for key in ("prod/", "prod/tiny/", "prod/tiny/1/"):
        bucket.client.put_object(Bucket="models", Key=key, Body=b"")
    bucket.client.put_object(Bucket="models", Key="prod/tiny/1/x", Body=b"x")
    assert [file.path for file in bucket.source().files()] == ["tiny/1/x"]


def test_a_key_with_strange_letters_is_fetched(bucket: Bucket, tmp_path: Path) -> None:
    bucket.client.put_object(Bucket="models", Key="prod/t/1/ä b+c.txt", Body=b"content")
    (file,) = bucket.source().files()
    bucket.source().fetch(file, tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == b"content"


def test_a_store_that_refuses_or_is_not_there_is_told(bucket: Bucket) -> None:
    with pytest.raises(SourceUnreadable, match=r"answers 404; AWS_ACCESS_KEY_ID"):
        S3Source("s3://nothing/x", Store(_KEY, endpoint=bucket.endpoint)).files()
    with pytest.raises(FileWithheld, match=r"s3://models/prod/tiny/1/x: the store answers 404"):
        bucket.source().fetch(RemoteFile("tiny/1/x", 1, ""), Path("x"))
    with pytest.raises(SourceUnreadable, match="ConnectError") as caught:
        S3Source("s3://models/x", Store(_KEY, endpoint="http://127.0.0.1:1")).files()
    assert _KEY.secret not in str(caught.value)
    with pytest.raises(ValueError, match="must be s3://bucket/prefix"):
        S3Source("s3:/models", Store(_KEY))


def test_a_file_that_grew_since_it_was_listed_is_refused(bucket: Bucket, tmp_path: Path) -> None:
    bucket.client.put_object(Bucket="models", Key="prod/t/1/x", Body=b"1")
    (file,) = bucket.source().files()
    bucket.client.put_object(Bucket="models", Key="prod/t/1/x", Body=b"12")
    with pytest.raises(FileWithheld, match="1 bytes were announced"):
        bucket.source().fetch(file, tmp_path / "x")


def test_an_object_on_which_the_store_fails_keeps_nothing_else_waiting(
    bucket: Bucket, tmp_path: Path
) -> None:
    for name in ("tiny", "whole"):
        bucket.upload(write_variant(tmp_path / name / "1"), f"prod/{name}/1")
    path = "/models/prod/tiny/1/config.json"
    with relayed(bucket.endpoint, path, lambda handler: handler.send_error(500)) as endpoint:
        source = S3Source("s3://models/prod", Store(_KEY, endpoint=endpoint))
        mirror = Mirror(source, tmp_path / "cache", 10**9)
        mirror.sync()
    assert {path.name for path in (tmp_path / "cache").glob("[a-z]*")} == {"tiny", "whole"}
    assert (tmp_path / "cache" / "whole" / "1").is_dir()
    assert not (tmp_path / "cache" / "tiny" / "1").exists()
    assert "answers 500" in str(mirror.withheld("tiny"))


async def test_a_version_that_is_uploaded_is_served(bucket: Bucket, tmp_path: Path) -> None:
    bucket.upload(write_manifest(write_variant(tmp_path / "a" / "1")).parent, "prod/tiny/1")
    settings = settings_of(bucket.endpoint, tmp_path)
    repository = await asyncio.to_thread(supply_of(settings, 1).open)
    assert repository.loader is not None
    watcher = Watcher(repository, repository.loader, interval_s=3600)
    async with Service(repository) as service:
        assert await service.ask() == ("1", "ORG")
        running = asyncio.create_task(watcher.run())
        await asyncio.sleep(0)
        newer = write_variant(tmp_path / "a" / "2", "LOC")
        write_manifest(newer)
        bucket.upload(newer, "prod/tiny/2")
        for _ in range(2):
            await watcher.look()
            await watcher.idle()
        assert await service.ask() == ("2", "LOC")
        running.cancel()


async def test_a_service_that_ends_does_not_wait_for_what_is_being_fetched(
    bucket: Bucket, tmp_path: Path
) -> None:
    """However slowly it comes: a process ends only when its threads have ended."""
    bucket.upload(write_variant(tmp_path / "a" / "1"), "prod/tiny/1")
    begun, ended = threading.Event(), threading.Event()

    def trickle(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        with suppress(OSError):
            while not ended.wait(0.01):
                handler.wfile.write(b" ")
                begun.set()

    with relayed(bucket.endpoint, "/models/prod/tiny/2/large.txt", trickle) as endpoint:
        repository = await asyncio.to_thread(supply_of(settings_of(endpoint, tmp_path), 1).open)
        assert repository.loader is not None
        newer = write_variant(tmp_path / "a" / "2")
        (newer / "large.txt").write_bytes(bytes(1_000_000))
        bucket.upload(newer, "prod/tiny/2")
        fetching = asyncio.create_task(asyncio.to_thread(repository.loader.scan))
        assert await asyncio.to_thread(begun.wait, 20)
        await repository.aclose()
        try:
            with pytest.raises(SourceUnreadable, match="closed"):
                await asyncio.wait_for(asyncio.shield(fetching), 20)
        finally:
            ended.set()


def test_what_was_fetched_is_served_though_the_store_is_down(
    bucket: Bucket, tmp_path: Path
) -> None:
    bucket.upload(write_variant(tmp_path / "a" / "1"), "prod/tiny/1")
    Mirror(bucket.source(), tmp_path / "cache", 10**9).sync()
    settings = Settings(
        models_dir=tmp_path / "cache",
        model_source="s3://models/prod",
        AWS_ENDPOINT_URL="http://127.0.0.1:1",
    )
    assert supply_of(settings, 1).open().get("", "").name == "tiny"
