"""An issuer of tokens, with its keys on a real port."""

import json
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from threading import Event, Thread
from types import TracebackType
from typing import Any, Self

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

ISSUER = "https://issuer.test"
AUDIENCE = "nerve"


class Issuer:
    """Signs tokens, and publishes the keys that check them.

    Attributes:
        published: ids of the keys in the published set, by default all.
        declared: `alg` of published keys, by their ids; none by default.
        answer: what is sent instead of the set, if not None.
        go_on: what an answer waits for; set, unless a test clears it.
        drip_s: time between two bytes of the answer; 0 sends it whole.
        fetches: how often the set was fetched.
    """

    def __init__(self) -> None:
        self._keys: dict[str, Any] = {}
        self.published: set[str] = set()
        self.declared: dict[str, str] = {}
        self.answer: bytes | None = None
        self.go_on = Event()
        self.go_on.set()
        self.drip_s = 0.0
        self._ended = Event()
        self.fetches = 0
        self.rotate("first")
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._responder())
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        """Where the set is."""
        return f"http://127.0.0.1:{self._server.server_port}/jwks.json"

    def rotate(self, key_id: str, *, rsa_key: bool = False) -> None:
        """Sign with a new key, and publish it alone."""
        self._keys[key_id] = (
            rsa.generate_private_key(65537, 2048)
            if rsa_key
            else ec.generate_private_key(ec.SECP256R1())
        )
        self.published = {key_id}
        self._current = key_id

    def token(
        self,
        *,
        key_id: str | None = None,
        algorithm: str = "ES256",
        headers: Any = None,
        **claims: Any,
    ) -> str:
        """A token that is valid but for what the claims say; None leaves one out."""
        key_id = key_id or self._current
        now = time.time()  # noqa: TID251 - dates of tokens are wall-clock times
        standard = {
            "iss": ISSUER, "aud": AUDIENCE, "sub": "jane", "exp": now + 300, "iat": now,
            "scope": "nerve:model:*",
        }  # fmt: skip
        kept = {name: value for name, value in {**standard, **claims}.items() if value is not None}
        return jwt.encode(
            kept, self._keys[key_id], algorithm, headers={"kid": key_id, **(headers or {})}
        )

    def public_pem(self) -> bytes:
        """What anybody can know of the key."""
        from cryptography.hazmat.primitives import serialization

        pem: bytes = (
            self._keys[self._current]
            .public_key()
            .public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
        return pem

    def key_set(self) -> bytes:
        """The published set, with keys in it that sign no token, or that nobody can use."""
        keys: list[Any] = [self._published_key(key_id) for key_id in self.published]
        other = rsa.generate_private_key(65537, 2048).public_key()
        keys.append({**json.loads(RSAAlgorithm.to_jwk(other)), "kid": "enc", "use": "enc"})
        keys.append({"kty": "oct", "kid": "shared", "k": "aHVzaA", "alg": "HS256"})
        keys += ["junk", {"kid": "odd"}, {"kty": "RSA", "kid": "unsigned", "alg": "none"}]
        return json.dumps({"keys": keys}).encode()

    def _published_key(self, key_id: str) -> dict[str, Any]:
        public = self._keys[key_id].public_key()
        algorithm = RSAAlgorithm if isinstance(public, rsa.RSAPublicKey) else ECAlgorithm
        key = {**json.loads(algorithm.to_jwk(public)), "kid": key_id, "use": "sig"}
        if key_id in self.declared:
            key["alg"] = self.declared[key_id]
        return key

    def send(self, wire: BufferedIOBase, body: bytes) -> None:
        """Send the body of an answer, in drops if it is to drip."""
        if not self.drip_s:
            wire.write(body)
            return
        for byte in body:
            if self._ended.wait(self.drip_s):
                return
            wire.write(bytes([byte]))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self._ended.set()
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _responder(issuer) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - `self` is the responder's
        class Responder(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.fetches += 1
                issuer.go_on.wait()
                body = issuer.key_set() if issuer.answer is None else issuer.answer
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                with suppress(ConnectionError):  # whoever asked may have given up
                    self.end_headers()
                    issuer.send(self.wfile, body)

            def log_message(self, *_args: object) -> None:
                pass

        return Responder
