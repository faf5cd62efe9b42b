"""Models in a bucket of an S3-compatible store: `s3://bucket/prefix`.

Two calls are all that is needed, ListObjectsV2 and GetObject, so no client library is
(docs/adr/0011).

Source: the Amazon S3 API reference for both calls.
"""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import httpx

from inference.errors import FileWithheld, SourceUnreadable
from inference.sources.aws_signature import (
    Credentials,
    quoted_path,
    quoted_query,
    signed_headers,
)
from inference.sources.source import RemoteFile, write_bounded

_ADDRESS = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,62})(?:/(?P<prefix>.*))?")
_TIMEOUT = httpx.Timeout(30.0)
# A page holds up to 1000 keys and their names, each of at most 1 KiB.
_MAX_PAGE_BYTES = 16 * 1024 * 1024
_MAX_PAGES = 1_000
_CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Store:
    """How an S3-compatible store is reached."""

    credentials: Credentials
    region: str = "us-east-1"
    endpoint: str = ""  # "https://host:port"; empty: Amazon's own for the region


class S3Source:
    """A prefix of a bucket, read with path-style addresses.

    Args:
        address: `s3://bucket/prefix`.
        store: where the bucket is.

    Raises:
        ValueError: the address is not of this form.
    """

    def __init__(self, address: str, store: Store) -> None:
        match = _ADDRESS.fullmatch(address)
        if match is None:
            raise ValueError(f"{address}: must be s3://bucket/prefix")
        prefix = (match["prefix"] or "").strip("/")
        self._bucket = match["bucket"]
        self._prefix = f"{prefix}/" if prefix else ""
        self._store = store
        self._closed = threading.Event()
        self._endpoint = store.endpoint or f"https://s3.{store.region}.amazonaws.com"

    def files(self) -> list[RemoteFile]:
        """Lists every object below the prefix; see `Source`."""
        found: list[RemoteFile] = []
        token = ""
        for _ in range(_MAX_PAGES):
            query = {"list-type": "2", "prefix": self._prefix}
            if token:
                query["continuation-token"] = token
            page, token = self._page(query)
            found += page
            if not token:
                return found
        raise SourceUnreadable(f"s3://{self._bucket}/{self._prefix}: too many objects")

    def fetch(self, file: RemoteFile, target: Path) -> None:
        """Copies an object; see `Source`."""
        key = self._prefix + file.path
        with self._get(f"/{self._bucket}/{key}", {}) as response:
            # As it arrives: a slow store takes minutes to fill a larger chunk.
            chunks = self._until_closed(response.iter_bytes())
            write_bounded(target, file.size_bytes, chunks, file.path)

    def close(self) -> None:
        """Ends the fetches at what arrives next; see `Source`."""
        self._closed.set()

    def _until_closed(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            if self._closed.is_set():
                raise SourceUnreadable(f"s3://{self._bucket}: closed, as the service ends")
            yield chunk

    def _page(self, query: dict[str, str]) -> tuple[list[RemoteFile], str]:
        with self._get(f"/{self._bucket}", query) as response:
            raw = b""
            for chunk in response.iter_bytes(_CHUNK_BYTES):
                raw += chunk
                if len(raw) > _MAX_PAGE_BYTES:
                    raise SourceUnreadable(f"s3://{self._bucket}: the listing is too large")
        try:
            # The store is trusted with the models themselves; expat bounds what entities grow to.
            page = ET.fromstring(raw)  # noqa: S314
        except ET.ParseError as error:
            raise SourceUnreadable(f"s3://{self._bucket}: the listing is no XML") from error
        space = page.tag.partition("}")[0] + "}" if page.tag.startswith("{") else ""
        files = [
            RemoteFile(
                (item.findtext(f"{space}Key") or "").removeprefix(self._prefix),
                int(item.findtext(f"{space}Size") or 0),
                (item.findtext(f"{space}ETag") or "").strip('"'),
            )
            for item in page.iter(f"{space}Contents")
            # An empty object that stands for a folder, as consoles make them, is no file.
            if not (item.findtext(f"{space}Key") or "").endswith("/")
        ]
        return files, page.findtext(f"{space}NextContinuationToken") or ""

    @contextmanager
    def _get(self, path: str, query: dict[str, str]) -> Iterator[httpx.Response]:
        endpoint = urlsplit(self._endpoint)
        # A GET of objects needs no body and no other header than those that are signed.
        headers = signed_headers(
            endpoint.netloc,
            path,
            query,
            self._store.credentials,
            self._store.region,
            datetime.now(UTC),
        )
        url = f"{self._endpoint}{quoted_path(path)}?{quoted_query(query)}".rstrip("?")
        try:
            with (
                httpx.Client(timeout=_TIMEOUT, trust_env=False) as client,
                client.stream(
                    "GET", url, headers=headers | {"accept-encoding": "identity"}
                ) as response,
            ):
                if response.status_code != httpx.codes.OK:
                    # Of an object it says nothing of others: it may have gone, be archived or lie
                    # where the store is broken.
                    raise (SourceUnreadable if query else FileWithheld)(
                        f"s3:/{path}: the store answers {response.status_code};"
                        " AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and"
                        " AWS_ENDPOINT_URL say how it is reached"
                    )
                yield response
        except httpx.HTTPError as error:
            raise SourceUnreadable(
                f"s3://{self._bucket}: {type(error).__name__} at {self._endpoint}"
            ) from error
