"""API keys, of which only the SHA-256 is kept.

A fast hash without salt is enough here, and only here: a key is 256 random bits made by `new_key`,
not a password that a person chose. Nobody can try 2^256 keys, so there is nothing that a slow hash
would slow down, and no two keys are alike, so there is nothing that a salt would hide. The hash
costs a microsecond on every request.
"""

import hashlib
import hmac
import json
import re
import secrets
import tomllib
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from credentials.errors import CredentialInvalid
from credentials.watched_files import read_bytes

_KEY_BYTES: Final = 32
# Lets secret scanners find a key that was committed by mistake.
_PREFIX: Final = "nerve_"
# Longer than any key that `new_key` makes: what is longer need not be hashed.
MAX_KEY_CHARS: Final = 256

# One in eleven days; what is much less overflows when it is divided by.
_LEAST_PER_S: Final = 1e-6
_MOST_PER_S: Final = 1e9

KEY_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def _check_rate(per_s: float) -> float:
    if 0 < per_s < _LEAST_PER_S:
        raise ValueError(f"must be 0 or at least {_LEAST_PER_S:f}")
    return per_s


Rate = Annotated[
    float, Field(ge=0, le=_MOST_PER_S, allow_inf_nan=False), AfterValidator(_check_rate)
]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one caller may use; None leaves it to the service's default, 0 sets no limit.

    Attributes:
        requests_per_s: requests a second.
        texts_per_s: texts a second.
        chars_per_s: code points of text a second.
        concurrent: requests at one time.
    """

    requests_per_s: float | None = None
    texts_per_s: float | None = None
    chars_per_s: float | None = None
    concurrent: int | None = None


_NO_LIMITS_OF_ITS_OWN: Final = Limits()


@dataclass(frozen=True, slots=True)
class Key:
    """One caller of the keys file.

    Attributes:
        id: name for logs and limits; no secret.
        digest: SHA-256 of the key, 32 bytes.
        models: names of models that it may ask; None: every model.
        admin: whether it may load and unload models.
        limits: its own limits.
    """

    id: str
    digest: bytes
    models: frozenset[str] | None = None
    admin: bool = False
    limits: Limits = _NO_LIMITS_OF_ITS_OWN


class KeyRing:
    """The keys of one reading of the file.

    Args:
        keys: every key; ids and digests differ.
    """

    def __init__(self, keys: tuple[Key, ...]) -> None:
        self.keys: Final = keys
        self._by_digest: Final = MappingProxyType({key.digest: key for key in keys})

    def find(self, secret: str) -> Key | None:
        """The key whose secret this is.

        How long the look-up takes depends on the digest alone, which nobody can steer without
        knowing the key; the comparison that decides takes the same time for every digest.
        """
        if len(secret) > MAX_KEY_CHARS:
            return None
        digest = digest_of(secret)
        key = self._by_digest.get(digest)
        return key if key is not None and hmac.compare_digest(key.digest, digest) else None


def new_key() -> str:
    """Make a key of 256 random bits."""
    return _PREFIX + secrets.token_urlsafe(_KEY_BYTES)


def digest_of(secret: str) -> bytes:
    """The SHA-256 of a key, 32 bytes."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def read_keys(path: Path) -> KeyRing:
    """Read a file of keys, TOML or, with the suffix `.json`, JSON.

    Raises:
        CredentialInvalid: it cannot be used; the message repeats none of its values.
    """
    return parse_keys(read_bytes(path), path)


def parse_keys(raw: bytes, path: Path) -> KeyRing:
    """Read what a file of keys holds, or is to hold.

    Args:
        raw: TOML or JSON.
        path: of the file; its suffix says which, and messages name it.

    Raises:
        CredentialInvalid: it cannot be used; the message repeats none of its values.
    """
    try:
        text = raw.decode()
        document: Any = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except UnicodeDecodeError:
        raise CredentialInvalid(f"{path}: is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise CredentialInvalid(f"{path}: is not JSON (line {error.lineno})") from None
    except tomllib.TOMLDecodeError as error:
        raise CredentialInvalid(f"{path}: is not TOML{_line_of(error)}") from None
    except (ValueError, RecursionError):  # what both parsers leave to Python's own bounds
        raise CredentialInvalid(f"{path}: holds a number too long or lists too deep") from None
    try:
        entries = _File.model_validate(document).keys
    except ValidationError as error:
        raise CredentialInvalid(f"{path}: {_first_problem(error)}") from None
    keys = tuple(entry.key() for entry in entries)
    for name, values in (("id", {k.id for k in keys}), ("sha256", {k.digest for k in keys})):
        if len(values) < len(keys):
            raise CredentialInvalid(f"{path}: two keys have the same {name}")
    return KeyRing(keys)


class _LimitsEntry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    requests_per_s: Rate | None = None
    texts_per_s: Rate | None = None
    chars_per_s: Rate | None = None
    concurrent: int | None = Field(default=None, ge=0)


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: str = Field(pattern=f"^{KEY_ID.pattern}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    # No default: a forgotten scope must not open every model.
    models: Literal["*"] | Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]
    admin: bool = Field(default=False, strict=True)
    limits: _LimitsEntry = _LimitsEntry()

    def key(self) -> Key:
        return Key(
            id=self.id,
            digest=bytes.fromhex(self.sha256),
            models=None if self.models == "*" else frozenset(self.models),
            admin=self.admin,
            limits=Limits(**self.limits.model_dump()),
        )


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    keys: list[_Entry]


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(part) for part in problem["loc"])
    # A name that the file's author chose may be a key put in the wrong place.
    shown = place if problem["type"] != "extra_forbidden" else place.rpartition(".")[0]
    return f"{shown}: {problem['msg']}"


def _line_of(error: tomllib.TOMLDecodeError) -> str:
    found = re.search(r"at line \d+", str(error))
    return f" ({found[0]})" if found else ""
