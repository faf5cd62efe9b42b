"""Following a folder that others write to."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

from inference.catalogue import NOTHING, scan_model, settled
from inference.errors import ModelNotFound
from inference.repository import Repository
from inference.version_state import State
from inference.watcher import Watcher
from tests.live_models import Service, open_repository, write_variant

pytestmark = pytest.mark.timeout(60)


class Watched:
    """A repository with its watcher, whose looks are asked for one by one."""

    def __init__(self, root: Path) -> None:
        self.repository, self.loader = open_repository(root)
        self.watcher = Watcher(self.repository, self.loader, interval_s=3600)
        self._running: asyncio.Task[None] | None = None

    async def look(self, times: int = 2) -> None:
        """Looks so often, and waits for what follows from it."""
        if self._running is None:
            self._running = asyncio.create_task(self.watcher.run())
            await asyncio.sleep(0)
        for _ in range(times):
            await self.watcher.look()
            await self.watcher.idle()

    async def close(self) -> None:
        """Stops looking."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)


async def test_what_is_published_becomes_live(tmp_path: Path) -> None:
    write_variant(tmp_path / "tiny" / "1")
    watched = Watched(tmp_path)
    async with Service(watched.repository) as service:
        await watched.look()
        assert watched.loader.loaded == ["tiny/1"]
        write_variant(tmp_path / "tiny" / "2", "LOC")
        write_variant(tmp_path / "another" / "1", "PER")
        await watched.look()
        assert await service.ask("tiny") == ("2", "LOC")
        assert await service.ask("another") == ("1", "PER")
        shutil.rmtree(tmp_path / "another")
        await watched.look()
        with pytest.raises(ModelNotFound):
            await service.ask("another")
        await watched.close()


async def test_a_folder_that_is_being_copied_is_not_loaded(tmp_path: Path) -> None:
    whole = write_variant(tmp_path / "elsewhere" / "2", "LOC")
    write_variant(tmp_path / "models" / "tiny" / "1")
    watched = Watched(tmp_path / "models")
    async with Service(watched.repository) as service:
        target = tmp_path / "models" / "tiny" / "2"
        target.mkdir()
        for file in sorted(whole.iterdir()):
            shutil.copy(file, target)
            await watched.look(1)
            assert await service.ask() == ("1", "ORG")
        assert watched.loader.loaded == ["tiny/1"]
        await watched.look(1)
        assert await service.ask() == ("2", "LOC")


async def test_a_copy_that_stops_half_way_is_refused_once_and_loaded_when_it_is_whole(
    tmp_path: Path,
) -> None:
    write_variant(tmp_path / "tiny" / "1")
    watched = Watched(tmp_path)
    async with Service(watched.repository) as service:
        folder = write_variant(tmp_path / "tiny" / "2", "LOC")
        (folder / "model.onnx").rename(tmp_path / "model.onnx")
        await watched.look(6)
        assert watched.loader.loaded.count("tiny/2") == 0  # refused from its listing
        (state,) = [s for s in watched.repository.versions if s.version == "2"]
        assert (state.standing, state.detail[:13]) == (State.FAILED, "no model.onnx")
        (tmp_path / "model.onnx").rename(folder / "model.onnx")
        await watched.look()
        assert await service.ask() == ("2", "LOC")


async def test_a_routing_is_followed_and_a_bad_one_changes_nothing(tmp_path: Path) -> None:
    for version, apple in (("1", "ORG"), ("2", "LOC")):
        write_variant(tmp_path / "tiny" / version, apple)
    watched = Watched(tmp_path)
    routing = tmp_path / "tiny" / "routing.json"
    async with Service(watched.repository) as service:
        routing.write_text(json.dumps({"aliases": {"live": "1"}}))
        await watched.look()
        assert await service.ask() == ("1", "ORG")
        routing.write_text("{")
        await watched.look()
        assert await service.ask() == ("1", "ORG")
        (live,) = [s for s in watched.repository.versions if s.live]
        assert live.detail.startswith("routing.json: not JSON")
        routing.unlink()
        await watched.look()
        assert await service.ask() == ("2", "LOC")


async def test_a_version_in_whose_place_another_comes_answers_until_that_is_ready(
    tmp_path: Path,
) -> None:
    """As when a mirror's alias moves, or a folder is renamed."""
    write_variant(tmp_path / "tiny" / "2")
    watched = Watched(tmp_path)
    async with Service(watched.repository) as service:
        for gone, come, apple in (("2", "3", "LOC"), ("3", "1", "PER")):
            before = await service.ask()
            shutil.rmtree(tmp_path / "tiny" / gone)
            write_variant(tmp_path / "tiny" / come, apple)
            watched.loader.gate.clear()
            looking = asyncio.create_task(watched.look())
            while f"tiny/{come}" not in watched.loader.loaded:
                assert await service.ask() == before
                await asyncio.sleep(0.01)
            assert await service.ask() == before
            watched.loader.gate.set()
            await looking
            assert await service.ask() == (come, apple)
            await _until_listed(watched.repository, come)
        await watched.close()


async def _until_listed(repository: Repository, *versions: str) -> None:
    """Waits until these are listed and no others: what has gone is, until it has been freed."""
    async with asyncio.timeout(10):
        while [s.version for s in repository.versions] != list(versions):  # noqa: ASYNC110 - a thread
            await asyncio.sleep(0.01)


async def test_a_version_whose_folder_has_gone_answers_while_what_follows_is_broken(
    tmp_path: Path,
) -> None:
    write_variant(tmp_path / "tiny" / "2")
    watched = Watched(tmp_path)
    async with Service(watched.repository) as service:
        shutil.rmtree(tmp_path / "tiny" / "2")
        (write_variant(tmp_path / "tiny" / "3") / "config.json").write_text("{")
        await watched.look()
        assert await service.ask() == ("2", "ORG")
        states = {s.version: (s.live, s.standing) for s in watched.repository.versions}
        assert states == {"2": (True, State.READY), "3": (False, State.FAILED)}
        write_variant(tmp_path / "tiny" / "4", "LOC")
        await watched.look()
        assert await service.ask() == ("4", "LOC")
        await _until_listed(watched.repository, "3", "4")
        shutil.rmtree(tmp_path / "tiny")
        await watched.look()
        with pytest.raises(ModelNotFound):
            await service.ask()
        await watched.close()


async def test_a_look_that_fails_is_not_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever it raises: the client of a store may raise what nobody has thought of."""
    write_variant(tmp_path / "tiny" / "1")
    watched = Watched(tmp_path)
    async with Service(watched.repository) as service:
        await watched.look()

        def fail() -> NoReturn:
            raise LookupError("no credentials")

        with monkeypatch.context() as patch:
            patch.setattr(watched.loader, "scan", fail)
            write_variant(tmp_path / "tiny" / "2", "LOC")
            await watched.look()
            assert await service.ask() == ("1", "ORG")
        assert "".join(capsys.readouterr()).count("LookupError: no credentials") == 1
        await watched.look()
        assert await service.ask() == ("2", "LOC")
        await watched.close()


def test_only_what_looked_the_same_twice_is_acted_upon(tmp_path: Path) -> None:
    write_variant(tmp_path / "tiny" / "1")
    one = scan_model(tmp_path, "tiny")
    write_variant(tmp_path / "tiny" / "2")
    two = scan_model(tmp_path, "tiny")
    (tmp_path / "tiny" / "2" / "more").write_text("?")
    three = scan_model(tmp_path, "tiny")
    assert settled(NOTHING, one, NOTHING) == NOTHING
    assert settled(one, one, NOTHING) == one
    assert settled(one, two, one) == one
    assert settled(two, two, one) == two
    assert settled(two, three, two) == two
    # Gone for one look is not gone: a replacement renames one away and the other in.
    assert settled(two, NOTHING, two).versions == two.versions
    assert settled(NOTHING, NOTHING, two) == NOTHING
