"""`nerve key`."""

import io
import sys
from concurrent.futures import ThreadPoolExecutor
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


def test_an_entry_is_added_to_the_file_that_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The key alone is printed; a new file is its owner's."""
    path = tmp_path / "keys.toml"
    secrets = []
    for id_ in ("team-a", "team-b"):
        assert main(["key", "new", "--id", id_, "--model", "ner-en", "--file", str(path)]) == 0
        captured = capsys.readouterr()
        assert captured.err == ""
        secrets.append(captured.out.removesuffix("\n"))
    assert path.stat().st_mode & 0o777 == 0o600
    ring = read_keys(path)
    assert [key.id for secret in secrets if (key := ring.find(secret))] == ["team-a", "team-b"]


@pytest.mark.parametrize("ending", ["", "\n", "\n\n# the end"])
def test_what_the_file_held_stays_with_its_mode_and_behind_its_link(
    tmp_path: Path, ending: str
) -> None:
    path, link = tmp_path / "keys.toml", tmp_path / "link.toml"
    old = f"# ours{_entry('old')}{ending}"
    path.write_text(old)
    path.chmod(0o640)
    link.symlink_to(path)
    assert main(["key", "new", "--id", "new", "--file", str(link)]) == 0
    assert link.is_symlink()
    assert path.read_text().startswith(old)
    assert path.stat().st_mode & 0o777 == 0o640
    assert [key.id for key in read_keys(path).keys] == ["old", "new"]


@pytest.mark.parametrize(
    ("old", "problem"),
    [
        ("[[keys]", "is not TOML"),
        ("keys = []", "is not TOML"),
        ("admin = true", "Extra inputs are not permitted"),
    ],
)
def test_a_file_that_could_not_be_read_with_the_entry_stays_as_it_is(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, old: str, problem: str
) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(old)
    assert main(["key", "new", "--id", "a", "--file", str(path)]) == 1
    captured = capsys.readouterr()
    assert captured.out == "", "no key that nobody lets in"
    assert captured.err.startswith(f"nerve: the entry was not added: {path}: ")
    assert problem in captured.err
    assert path.read_text() == old
    assert [*tmp_path.iterdir()] == [path]


def test_a_second_key_of_one_id_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(_entry("team-a"))
    assert main(["key", "new", "--id", "team-a", "--file", str(path)]) == 1
    assert "two keys have the same id" in capsys.readouterr().err
    assert path.read_text() == _entry("team-a")


def test_keys_that_are_made_at_one_moment_are_all_kept(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "keys.toml"
    ids = [f"team-{i}" for i in range(24)]
    with ThreadPoolExecutor(len(ids)) as threads:
        made = threads.map(lambda i: main(["key", "new", "--id", i, "--file", str(path)]), ids)
        assert [*made] == [0] * len(ids)
    ring = read_keys(path)
    found = [key.id for secret in capsys.readouterr().out.split() if (key := ring.find(secret))]
    assert sorted(found) == sorted(ids)


@pytest.mark.parametrize("name", ["none/keys.toml", "."])
def test_a_place_where_no_file_can_be_is_said(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    assert main(["key", "new", "--id", "a", "--file", str(path)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(
        f"nerve: the entry was not added: {path}: cannot be read and written ("
    )


def _entry(id_: str) -> str:
    return f"\n[[keys]]\nid = '{id_}'\nsha256 = '{digest_of(id_).hex()}'\nmodels = '*'"


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
        ["key", "new", "--id", "a", "--file", "keys.json"],
    ],
)
def test_a_bad_command_line_is_a_usage_error(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
