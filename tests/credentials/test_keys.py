"""Files of API keys."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credentials.errors import CredentialInvalid
from credentials.keys import Key, KeyRing, Limits, digest_of, new_key, read_keys

_DIGEST = digest_of("right").hex()


def _toml(**fields: str) -> str:
    entry = {"id": '"a"', "sha256": f'"{_DIGEST}"', "models": '"*"', **fields}
    return "\n".join(["[[keys]]", *(f"{name} = {value}" for name, value in entry.items())])


def test_a_file_says_who_may_do_what(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(
        _toml(models='["x", "y"]', admin="true", limits="{requests_per_s = 0.5, concurrent = 3}")
    )
    (key,) = read_keys(path).keys
    assert key == Key(
        "a",
        digest_of("right"),
        models=frozenset({"x", "y"}),
        admin=True,
        limits=Limits(requests_per_s=0.5, concurrent=3),
    )


def test_json_is_read_as_well(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    entry = {"id": "a", "sha256": _DIGEST, "models": "*"}
    path.write_text(json.dumps({"keys": [entry]}))
    assert read_keys(path).keys == (Key("a", digest_of("right")),)


@pytest.mark.parametrize(
    "text",
    [
        "hush = [",
        "",
        "[[keys]]\nid = 'a'",
        _toml(sha256='"hush"'),
        _toml(sha256=f'"{_DIGEST.upper()}"'),
        _toml(models='"hush"'),
        _toml(models="[]"),
        _toml(models='[""]'),
        _toml(admin='"hush"'),
        _toml(admin="1"),
        _toml(hush="1"),
        _toml(id='"hush hush"'),
        _toml(id='""'),
        _toml(limits="{requests_per_s = -1}"),
        _toml(limits="{requests_per_s = nan}"),
        _toml(limits="{requests_per_s = 1e-320}"),
        _toml(limits="{hush = 1}"),
        "keys = " + "[" * 100_000,
        "keys = " + "1" * 5_000,
        _toml() + "\n" + _toml(id='"b"'),
        _toml() + "\n" + _toml(sha256=f'"{digest_of("other").hex()}"'),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_without_repeating_it(
    tmp_path: Path, text: str
) -> None:
    """A key may stand in the wrong place, and the message ends up in a log."""
    path = tmp_path / "keys.toml"
    path.write_text(text)
    with pytest.raises(CredentialInvalid, match=r"keys\.toml") as caught:
        read_keys(path)
    assert "hush" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_file_that_is_missing_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CredentialInvalid, match="No such file"):
        read_keys(tmp_path / "keys.toml")
    (tmp_path / "keys.json").write_bytes(b"\xff")
    with pytest.raises(CredentialInvalid, match="UTF-8"):
        read_keys(tmp_path / "keys.json")
    (tmp_path / "keys.json").write_text("{")
    with pytest.raises(CredentialInvalid, match="JSON"):
        read_keys(tmp_path / "keys.json")


@pytest.mark.parametrize("text", ["[" * 100_000, '{"keys": ' + "1" * 5_000 + "}"])
def test_json_beyond_the_bounds_of_its_parser_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(text)
    with pytest.raises(CredentialInvalid, match=r"keys\.json"):
        read_keys(path)


@given(st.text(max_size=300))
def test_only_the_key_itself_is_found(guess: str) -> None:
    ring = KeyRing((Key("a", digest_of("right")), Key("b", digest_of("left"))))
    found = ring.find(guess)
    assert (found is not None) == (guess in {"right", "left"})


@pytest.mark.parametrize(("chars", "is_found"), [(256, True), (257, False)])
def test_a_secret_longer_than_any_key_is_not_looked_up(chars: int, is_found: bool) -> None:
    """Nobody makes the service hash what cannot be a key."""
    secret = "x" * chars
    ring = KeyRing((Key("a", digest_of(secret)),))
    assert (ring.find(secret) is not None) == is_found


def test_keys_are_long_and_never_the_same() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert {len(key) for key in keys} == {len("nerve_") + 43}, "256 bits in base64"
    assert all(key.isascii() and key.startswith("nerve_") for key in keys)


def test_a_key_shows_nothing_of_itself() -> None:
    """What is kept and might be printed is its hash."""
    secret = new_key()
    assert secret not in repr(KeyRing((Key("a", digest_of(secret)),)).keys)
