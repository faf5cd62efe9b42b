"""`python -m nerve key`: makes API keys, and the entries of a keys file that let them in."""

import argparse
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from credentials.errors import CredentialInvalid
from credentials.keys import KEY_ID, MAX_KEY_CHARS, digest_of, new_key
from nerve.keys_file import append

_NAME = re.compile(r"[^\s\"\\]+")
_EVERY_MODEL = "*"

_NEW = """\
Make a key of 256 random bits. The key goes to standard output, alone and once: give it to its
caller. The entry for the keys file (GATEWAY_KEYS_FILE, INFERENCE_TOKENS_FILE) is added to the
file that --file names, or else goes to standard error; it holds the key's SHA-256, from which
nobody can find the key. Running services read a changed file within a second."""

_HASH = """\
Read a key from standard input and print its SHA-256, for an entry of a keys file. Only for keys
that `python -m nerve key new` or another source of at least 256 random bits made: a password that a
person chose can be guessed from its unsalted hash."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a keys file.

    Attributes:
        id: name for logs; no secret.
        digest: SHA-256 of the key, in hexadecimal.
        models: names of models that it may ask; none: every model.
        admin: whether it may load and unload models.
    """

    id: str
    digest: str
    models: tuple[str, ...]
    admin: bool

    def toml(self) -> str:
        """The entry as it stands in the file."""
        names = ", ".join(f'"{name}"' for name in self.models)
        return "\n".join(
            (
                "[[keys]]",
                f'id = "{self.id}"',
                f'sha256 = "{self.digest}"',
                f"models = [{names}]" if self.models else f'models = "{_EVERY_MODEL}"',
                *(["admin = true"] if self.admin else []),
            )
        )


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `key` to a command line; the chosen command is `run` of the parsed options."""
    key = commands.add_parser("key", help="make API keys")
    actions = key.add_subparsers(title="commands", metavar="COMMAND", required=True)
    new = actions.add_parser("new", help="make a key and its entry", description=_NEW)
    new.add_argument("--id", required=True, type=_id, help="name for logs, such as a team's")
    new.add_argument(
        "--model",
        action="append",
        default=[],
        type=_model,
        metavar="NAME",
        help="a model that it may ask; may be repeated (default: every model)",
    )
    new.add_argument("--admin", action="store_true", help="it may load and unload models")
    new.add_argument(
        "--file",
        type=_file,
        metavar="PATH",
        help="keys file (TOML) that gains the entry, if it can be read with it; made if it is"
        " missing",
    )
    new.set_defaults(run=_new)
    hashed = actions.add_parser("hash", help="the SHA-256 of a key", description=_HASH)
    hashed.set_defaults(run=_hash)


def _new(options: argparse.Namespace) -> int:
    secret = new_key()
    entry = Entry(options.id, digest_of(secret).hex(), tuple(options.model), options.admin)
    if options.file is None:
        print(entry.toml(), file=sys.stderr)
    else:
        try:
            append(options.file, entry.toml())
        except CredentialInvalid as error:
            print(f"nerve: the entry was not added: {error}", file=sys.stderr)
            return 1
    print(secret)
    return 0


def _hash(options: argparse.Namespace) -> int:
    del options
    # As the gateway reads a header. Bytes beyond ASCII are refused, not hashed: their hash is of
    # UTF-8, and no service would ever find them.
    secret = sys.stdin.buffer.readline().strip().decode("latin-1")
    is_sendable = secret.isascii() and secret.isprintable()
    if not is_sendable or not 1 <= len(secret) <= MAX_KEY_CHARS:
        print(
            f"nerve: write the key to standard input: 1 to {MAX_KEY_CHARS} printable characters"
            " of ASCII",
            file=sys.stderr,
        )
        return 2
    print(digest_of(secret).hex())
    return 0


def _id(value: str) -> str:
    if not KEY_ID.fullmatch(value):
        raise argparse.ArgumentTypeError("must be 1 to 64 of A-Z a-z 0-9 . _ -")
    return value


def _model(value: str) -> str:
    if not _NAME.fullmatch(value) or value == _EVERY_MODEL:
        raise argparse.ArgumentTypeError("must be the name of a model")
    return value


def _file(value: str) -> Path:
    path = Path(value)
    if path.suffix == ".json":
        raise argparse.ArgumentTypeError("must be TOML: add to a file of JSON by hand")
    return path
