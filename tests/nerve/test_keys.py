"""`nerve key`."""

import io
import sys
from pathlib import Path

import pytest

from credentials.keys import digest_of, read_keys
from nerve.__main__ import main


@pytest.mark.parametrize(
    ("arguments", "models", "admin"),
    [
        ([], None, False),
        (["--model", "ner-en", "--model", "other"], {"ner-en", "other"}, False),
        (["--admin"], None, True),
    ],
)
def test_a_new_key_is_printed_once_and_its_entry_lets_it_in(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    arguments: list[str],
    models: set[str] | None,
    admin: bool,
) -> None:
    assert main(["key", "new", "--id", "team-a", *arguments]) == 0
    captured = capsys.readouterr()
    secret = captured.out.removesuffix("\n")
    assert secret not in captured.err
    path = tmp_path / "keys.toml"
    path.write_text(captured.err)
    key = read_keys(path).find(secret)
    assert key is not None
    assert (key.id, key.models, key.admin) == ("team-a", models, admin)


def test_the_hash_of_a_key_is_printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"nerve_x\n")))
    assert main(["key", "hash"]) == 0
    assert capsys.readouterr().out == f"{digest_of('nerve_x').hex()}\n"


@pytest.mark.parametrize(
    "line",
    [b"", b"\n", b"x" * 257, "schlüssel".encode(), b"\xff\xfe", b"nerve_\x00x", b"nerve_\tx"],
)
def test_what_no_service_can_find_has_no_hash(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, line: bytes
) -> None:
    """The entry would look right, and its caller would be refused for ever."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(line)))
    assert main(["key", "hash"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("nerve: write the key to standard input")


@pytest.mark.parametrize(
    "arguments",
    [
        ["key"],
        ["key", "new"],
        ["key", "new", "--id", 'a"b'],
        ["key", "new", "--id", "a", "--model", 'x"y'],
        ["key", "new", "--id", "a", "--model", "*"],
    ],
)
def test_a_bad_command_line_is_a_usage_error(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
