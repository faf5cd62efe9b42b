"""Models that come, change and go while calls are answered."""

import asyncio
import json
import threading
import time
from pathlib import Path

import pytest

from inference.catalogue import NOTHING, scan_model
from inference.errors import (
    DeadlineExceeded,
    LoadFailed,
    ModelInvalid,
    ModelNotFound,
    Reason,
    RecognitionError,
)
from inference.folder_files import Listing
from inference.metrics import Metrics
from inference.model_control import ModelControl
from inference.model_memory import ModelMemory
from inference.repository import Policy, Repository
from inference.served_model import Version
from inference.server import Server
from inference.settings import Settings
from inference.trial import Trial
from inference.version_folder import LoadRules, memory_bytes
from inference.version_state import State
from tests.live_models import Service, WatchedLoader, cycle, open_repository, write_variant

pytestmark = pytest.mark.timeout(60)


def states(repository: Repository, name: str = "tiny") -> dict[str, State]:
    """The state of each version of a model."""
    return {s.version: s.standing for s in repository.versions if s.name == name}


async def follow(repository: Repository, root: Path, name: str = "tiny") -> None:
    """Lets a repository follow what stands in a model's folder now."""
    await repository.apply(name, scan_model(root, name))


class _SlowTrial(Trial):
    """A trial that goes on, for some models, until it is told to end."""

    def __init__(self, rules: LoadRules, *slow: str) -> None:
        super().__init__(rules)
        self.slow = slow
        self.ended = threading.Event()

    def has_passed(self, folder: Path, listing: Listing) -> bool:
        return folder.parent.name not in self.slow

    def check(self, folder: Path, listing: Listing) -> None:
        if not self.has_passed(folder, listing):
            assert self.ended.wait(10)
            raise ModelInvalid("ended")


def _nothing() -> None:
    """Nobody listens."""


async def _not_again(version: Version) -> None:
    """Nothing is tried again."""


async def until_live(repository: Repository, name: str, version: str) -> None:
    """Waits until a version is live."""
    changed = asyncio.Event()
    repository.on_change = changed.set
    async with asyncio.timeout(20):
        while version not in [s.version for s in repository.versions if s.live and s.name == name]:
            changed.clear()
            await changed.wait()


async def until_waiting(loader: WatchedLoader, loads: int) -> None:
    """Waits until so many loads have begun."""
    end = time.monotonic() + 10
    while len(loader.loaded) < loads:
        assert time.monotonic() < end
        await asyncio.sleep(0.001)


async def test_a_new_version_becomes_live_and_the_old_one_goes_when_its_calls_have_ended(
    tmp_path: Path,
) -> None:
    write_variant(tmp_path / "tiny" / "1", "ORG")
    repository, loader = open_repository(tmp_path, keep_versions=1)
    async with Service(repository) as service:
        assert await service.ask() == ("1", "ORG")
        in_flight = await repository.lease("tiny", "")
        write_variant(tmp_path / "tiny" / "2", "LOC")
        await follow(repository, tmp_path)
        assert await service.ask() == ("2", "LOC")
        assert states(repository) == {"1": State.DRAINING, "2": State.READY}
        assert in_flight.model.version == "1"
        assert loader.freed == []
        in_flight.end_lease()
        await repository.memory.room.drained([in_flight.owner])
        assert loader.freed == ["tiny/1"]
        assert states(repository) == {"1": State.UNLOADED, "2": State.READY}
        # It still stands in the folder: who names it gets it.
        assert await service.ask(version="1") == ("1", "ORG")


async def test_a_broken_version_is_listed_with_its_reason_and_the_old_stays_live(
    tmp_path: Path,
) -> None:
    write_variant(tmp_path / "tiny" / "1")
    repository, loader = open_repository(tmp_path)
    async with Service(repository) as service:
        broken = write_variant(tmp_path / "tiny" / "2")
        (broken / "tokenizer.json").unlink()
        await follow(repository, tmp_path)
        assert await service.ask() == ("1", "ORG")
        (state,) = [s for s in repository.versions if s.version == "2"]
        assert (state.standing, state.live) == (State.FAILED, False)
        assert state.detail.startswith("tokenizer.json")
        # It is tried again when its folder changes, and not before.
        await follow(repository, tmp_path)
        assert loader.loaded.count("tiny/2") == 1
        write_variant(tmp_path / "tiny" / "3", "PER").joinpath("tokenizer.json").rename(
            broken / "tokenizer.json"
        )
        await follow(repository, tmp_path)
        assert await service.ask() == ("2", "ORG")


async def test_a_load_that_failed_by_no_fault_of_the_version_is_tried_again(
    tmp_path: Path,
) -> None:
    for name in ("tiny", "other"):
        write_variant(tmp_path / name / "1")
    repository, loader = open_repository(tmp_path)
    async with Service(repository) as service:
        (write_variant(tmp_path / "other" / "2") / "tokenizer.json").write_text("{")
        write_variant(tmp_path / "tiny" / "2", "LOC")
        loader.faults["tiny/2"] = MemoryError()
        for name in ("other", "tiny"):
            await follow(repository, tmp_path, name)
        assert states(repository) == {"1": State.READY, "2": State.FAILED}
        assert await service.ask("tiny") == ("1", "ORG")
        await until_live(repository, "tiny", "2")
        assert await service.ask("tiny") == ("2", "LOC")
        # What its content keeps from being loaded had as much time.
        assert loader.loaded.count("other/2") == 1


@pytest.mark.parametrize("memory_bytes", [0, 2**30])
async def test_a_load_that_failed_so_at_the_start_is_tried_again_while_it_serves(
    tmp_path: Path, memory_bytes: int
) -> None:
    for version in ("1", "2"):
        write_variant(tmp_path / "tiny" / version)
    loader = WatchedLoader(LoadRules(tmp_path))
    loader.faults["tiny/2"] = LoadFailed("model.onnx: Too many open files")
    repository = Repository.open(loader, "", Policy(memory_bytes))
    assert states(repository) == {"1": State.READY, "2": State.FAILED}
    settings = Settings(host="127.0.0.1", port=0, models_dir=tmp_path, model_control="none")
    server = Server(settings, repository, Metrics())
    await server.start()
    await until_live(repository, "tiny", "2")
    await server.drain()


async def test_a_version_that_is_tried_again_gets_no_call_before_it_is_loaded(
    tmp_path: Path,
) -> None:
    """Nor does its model wait for it to be changed."""
    write_variant(tmp_path / "tiny" / "1")
    write_variant(tmp_path / "other" / "1")
    repository, loader = open_repository(tmp_path)
    control = ModelControl(repository, loader)
    async with Service(repository) as service:
        write_variant(tmp_path / "tiny" / "2", "LOC")
        routing = {"aliases": {"live": "1", "canary": "2"}, "canary_share": 1.0}
        (tmp_path / "tiny" / "routing.json").write_text(json.dumps(routing))
        loader.faults["tiny/2"] = MemoryError()
        await follow(repository, tmp_path)
        loader.gate.clear()
        await until_waiting(loader, 4)
        assert await asyncio.wait_for(service.ask("tiny"), 5) == ("1", "ORG")
        with pytest.raises(ModelNotFound):
            await asyncio.wait_for(service.ask("tiny", "2"), 5)
        assert states(repository) == {"1": State.READY, "2": State.FAILED}
        await asyncio.wait_for(control.unload("tiny"), 5)
        loader.gate.set()


async def test_a_replaced_folder_is_loaded_beside_what_it_was(tmp_path: Path) -> None:
    write_variant(tmp_path / "tiny" / "1", "ORG")
    repository, loader = open_repository(tmp_path)
    async with Service(repository) as service:
        (tmp_path / "tiny" / "1").rename(tmp_path / "tiny" / ".gone")
        write_variant(tmp_path / "tiny" / "1", "PER")
        loader.gate.clear()
        change = asyncio.create_task(follow(repository, tmp_path))
        await until_waiting(loader, 2)
        assert await service.ask() == ("1", "ORG")
        loader.gate.set()
        await change
        assert await service.ask() == ("1", "PER")


async def test_a_model_whose_folder_has_gone_answers_nobody(tmp_path: Path) -> None:
    write_variant(tmp_path / "tiny" / "1")
    write_variant(tmp_path / "other" / "1")
    repository, _ = open_repository(tmp_path)
    async with Service(repository) as service:
        lease = await repository.lease("tiny", "")
        await repository.apply("tiny", NOTHING)
        with pytest.raises(ModelNotFound, match="served are other"):
            await service.ask("tiny")
        assert states(repository) == {"1": State.DRAINING}
        lease.end_lease()
        await repository.memory.room.drained([lease.owner])
        assert states(repository) == {}
        assert await service.ask() == ("1", "ORG")


async def test_calls_of_a_model_on_its_way_out_are_answered_to_the_end(tmp_path: Path) -> None:
    write_variant(tmp_path / "tiny" / "1")
    repository, loader = open_repository(tmp_path)
    control = ModelControl(repository, loader)
    async with Service(repository) as service:
        lease = await repository.lease("tiny", "")
        unloading = asyncio.create_task(control.unload("tiny"))
        await asyncio.sleep(0)
        with pytest.raises(ModelNotFound):
            await service.ask("tiny")
        with lease as model:
            assert len(model.tokenizer.tokenize("Apple").windows) == 1
            assert not unloading.done()
        await unloading
        assert states(repository) == {"1": State.UNLOADED}
        await control.load("tiny")
        assert await service.ask("tiny") == ("1", "ORG")


async def test_loading_says_what_is_wrong(tmp_path: Path) -> None:
    write_variant(tmp_path / "tiny" / "1")
    repository, loader = open_repository(tmp_path)
    control = ModelControl(repository, loader)
    async with Service(repository) as service:
        for name in ("none", "..", "../tiny", ""):
            with pytest.raises(ModelNotFound):
                await control.load(name)
        (write_variant(tmp_path / "tiny" / "2") / "config.json").unlink()
        with pytest.raises(ModelInvalid, match="tiny/2: config"):
            await control.load("tiny")
        (tmp_path / "tiny" / "routing.json").write_text("[]")
        with pytest.raises(ModelInvalid, match=r"routing\.json"):
            await control.load("tiny")
        assert await service.ask() == ("1", "ORG")
        with pytest.raises(ModelNotFound):
            await control.unload("none")


async def test_what_callers_try_in_vain_puts_off_no_try_of_the_service(tmp_path: Path) -> None:
    for name in ("tiny", "gone"):
        write_variant(tmp_path / name / "1")
    repository, loader = open_repository(tmp_path)
    control = ModelControl(repository, loader)
    async with Service(repository) as service:
        write_variant(tmp_path / "gone" / "2")
        write_variant(tmp_path / "tiny" / "2", "LOC")
        loader.faults["gone/2"] = MemoryError()
        await follow(repository, tmp_path, "gone")
        await control.unload("gone")
        tasks = len(asyncio.all_tasks())
        for _ in range(10):
            loader.faults["tiny/2"] = MemoryError()
            with pytest.raises(ModelInvalid):
                await control.load("tiny")
        assert len(asyncio.all_tasks()) <= tasks
        await until_live(repository, "tiny", "2")
        assert await service.ask("tiny") == ("2", "LOC")
        # What was unloaded on request had as much time.
        assert loader.loaded.count("gone/2") == 1


async def test_aliases_shares_and_pins_are_followed(tmp_path: Path) -> None:
    for version, apple in (("1", "ORG"), ("2", "LOC"), ("3", "PER")):
        write_variant(tmp_path / "tiny" / version, apple)
    repository, _ = open_repository(tmp_path, keep_versions=1)
    repository.random = cycle(0.1, 0.9)
    async with Service(repository) as service:
        assert await service.ask() == ("3", "PER")
        routing = {"aliases": {"live": "1", "canary": "2"}, "canary_share": 0.5}
        (tmp_path / "tiny" / "routing.json").write_text(json.dumps(routing))
        await follow(repository, tmp_path)
        asked = [(await service.ask())[0] for _ in range(4)]
        assert sorted(asked) == ["1", "1", "2", "2"]
        assert (await service.ask(version="canary"))[0] == "2"
        assert (await service.ask(version="live"))[0] == "1"
        with pytest.raises(ModelNotFound) as caught:
            await service.ask(version="stable")
        assert caught.value.reason == Reason.VERSION_NOT_FOUND
        aliases = {s.version: s.aliases for s in repository.versions}
        assert aliases == {"1": ("live",), "2": ("canary",), "3": ()}


async def test_a_canary_that_cannot_be_loaded_costs_no_call(tmp_path: Path) -> None:
    write_variant(tmp_path / "tiny" / "1")
    (write_variant(tmp_path / "tiny" / "2") / "config.json").unlink()
    routing = {"aliases": {"live": "1", "canary": "2"}, "canary_share": 1.0}
    (tmp_path / "tiny" / "routing.json").write_text(json.dumps(routing))
    repository, _ = open_repository(tmp_path)
    async with Service(repository) as service:
        assert await service.ask() == ("1", "ORG")


async def test_a_pin_that_cannot_be_served_leaves_the_live_version(tmp_path: Path) -> None:
    for version in ("1", "2", "3"):
        write_variant(tmp_path / "tiny" / version)
    (tmp_path / "tiny" / "routing.json").write_text('{"aliases": {"live": "2"}}')
    repository, _ = open_repository(tmp_path)
    async with Service(repository) as service:
        (tmp_path / "tiny" / "routing.json").write_text('{"aliases": {"live": "9"}}')
        await follow(repository, tmp_path)
        assert (await service.ask())[0] == "2"


class TestOnDemand:
    """With a memory bound, models are loaded when they are asked for."""

    @pytest.fixture
    def size(self, tmp_path: Path) -> int:
        """Four models; what one of them is taken to hold."""
        for name in ("a", "b", "c", "d"):
            write_variant(tmp_path / name / "1")
        return memory_bytes(scan_model(tmp_path, "a").versions["1"].listing)

    async def test_a_hundred_calls_load_a_cold_model_once(self, tmp_path: Path, size: int) -> None:
        repository, loader = open_repository(tmp_path, memory_bytes=2 * size)
        assert loader.loaded == ["a/1"]
        async with Service(repository) as service:
            answers = await asyncio.gather(*(service.ask("b") for _ in range(100)))
            assert set(answers) == {("1", "ORG")}
            assert loader.loaded == ["a/1", "b/1"]

    async def test_the_least_recently_used_makes_room(self, tmp_path: Path, size: int) -> None:
        repository, loader = open_repository(tmp_path, memory_bytes=2 * size)
        async with Service(repository) as service:
            for name in ("a", "b", "a", "c"):
                await service.ask(name)
            assert loader.freed == ["b/1"]
            assert states(repository, "b") == {"1": State.UNLOADED}
            assert {s.name for s in repository.versions if s.live} == {"a", "b", "c", "d"}
            await service.ask("b")
            assert loader.freed == ["b/1", "a/1"]
            assert repository.memory.room.held_bytes <= 2 * size

    async def test_what_is_in_use_is_never_evicted(self, tmp_path: Path, size: int) -> None:
        repository, loader = open_repository(tmp_path, memory_bytes=2 * size)
        async with Service(repository) as service:
            leases = [await repository.lease(name, "") for name in ("a", "b")]
            waiting = asyncio.create_task(service.ask("c"))
            await asyncio.wait([waiting], timeout=0.05)
            assert not waiting.done()
            assert loader.freed == []
            leases[1].end_lease()
            assert await waiting == ("1", "ORG")
            assert loader.freed == ["b/1"]
            leases[0].end_lease()

    async def test_who_leaves_or_is_late_takes_nobody_along(
        self, tmp_path: Path, size: int
    ) -> None:
        repository, loader = open_repository(tmp_path, memory_bytes=2 * size)
        async with Service(repository) as service:
            loader.gate.clear()
            patient, leaving = (asyncio.create_task(service.ask("b")) for _ in range(2))
            await until_waiting(loader, 2)
            with pytest.raises(DeadlineExceeded):
                await repository.lease("b", "", time.monotonic_ns() + 1_000_000)
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)
            loader.gate.set()
            assert await patient == ("1", "ORG")
            lease = await repository.lease("b", "")
            assert lease.users == 1
            lease.end_lease()

    async def test_a_load_that_fails_tells_all_who_wait(self, tmp_path: Path, size: int) -> None:
        (tmp_path / "b" / "1" / "model.onnx").write_bytes(b"no model")
        repository, loader = open_repository(tmp_path, memory_bytes=2 * size)
        async with Service(repository) as service:
            found = await asyncio.gather(
                *(service.ask("b", "1") for _ in range(20)), return_exceptions=True
            )
            assert loader.loaded == ["a/1", "b/1"]
            for error in found:
                assert isinstance(error, RecognitionError)
                assert error.reason == Reason.VERSION_NOT_FOUND
                assert "b/1 cannot be loaded: model.onnx" in error.detail

    async def test_a_model_that_answered_before_comes_back_after_a_load_that_failed(
        self, tmp_path: Path, size: int
    ) -> None:
        """Whatever the reason: its content has not changed, so it is not to blame."""
        repository, _ = open_repository(tmp_path, memory_bytes=size + size // 2)
        async with Service(repository) as service:
            await service.ask("b")
            weights = tmp_path / "a" / "1" / "model.onnx"
            weights.rename(tmp_path / "model.onnx")
            with pytest.raises(ModelNotFound):
                await service.ask("a")
            (tmp_path / "model.onnx").rename(weights)
            await until_live(repository, "a", "1")
            assert await service.ask("a") == ("1", "ORG")

    async def test_a_version_that_is_tried_again_is_live_only_when_it_is_loaded(
        self, tmp_path: Path, size: int
    ) -> None:
        write_variant(tmp_path / "b" / "2", "LOC")
        repository, loader = open_repository(tmp_path, memory_bytes=4 * size)
        async with Service(repository) as service:
            loader.faults["b/2"] = MemoryError()
            assert await service.ask("b") == ("1", "ORG")
            loader.gate.clear()
            await until_waiting(loader, 4)
            assert await asyncio.wait_for(service.ask("b"), 5) == ("1", "ORG")
            loader.gate.set()
            await until_live(repository, "b", "2")
            assert await service.ask("b") == ("2", "LOC")

    async def test_a_call_for_any_version_is_answered_by_the_next(
        self, tmp_path: Path, size: int
    ) -> None:
        (write_variant(tmp_path / "b" / "2") / "config.json").unlink()
        repository, _ = open_repository(tmp_path, memory_bytes=2 * size)
        async with Service(repository) as service:
            assert await service.ask("b") == ("1", "ORG")

    async def test_a_live_version_that_failed_for_who_named_it_costs_no_other_call(
        self, tmp_path: Path, size: int
    ) -> None:
        (write_variant(tmp_path / "b" / "2") / "config.json").unlink()
        repository, _ = open_repository(tmp_path, memory_bytes=2 * size)
        async with Service(repository) as service:
            with pytest.raises(ModelNotFound):
                await service.ask("b", "2")
            assert await service.ask("b") == ("1", "ORG")

    def test_the_default_model_is_the_first_that_can_be_loaded(
        self, tmp_path: Path, size: int
    ) -> None:
        (tmp_path / "a" / "1" / "model.onnx").write_bytes(b"no model")
        repository, loader = open_repository(tmp_path, memory_bytes=2 * size)
        assert (repository.default_model, loader.loaded) == ("b", ["a/1", "b/1"])
        assert repository.get("", "").name == "b"

    async def test_a_load_that_fails_leaves_its_room_to_who_waits_for_it(
        self, tmp_path: Path, size: int
    ) -> None:
        (tmp_path / "b" / "1" / "model.onnx").write_bytes(b"no model")
        repository, loader = open_repository(tmp_path, memory_bytes=size + size // 2)
        async with Service(repository) as service:
            loader.gate.clear()
            broken = asyncio.create_task(service.ask("b", "1"))
            await until_waiting(loader, 2)
            waiting = asyncio.create_task(service.ask("a"))  # it was evicted for b
            await asyncio.wait([waiting], timeout=0.05)
            loader.gate.set()
            with pytest.raises(ModelNotFound):
                await broken
            assert await waiting == ("1", "ORG")

    async def test_a_model_that_is_loaded_for_nobody_makes_room(
        self, tmp_path: Path, size: int
    ) -> None:
        repository, loader = open_repository(tmp_path, memory_bytes=size + size // 2)
        async with Service(repository) as service:
            loader.gate.clear()
            leaving = asyncio.create_task(service.ask("b"))
            await until_waiting(loader, 2)
            waiting = asyncio.create_task(service.ask("a"))
            await asyncio.wait([waiting], timeout=0.05)
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)
            loader.gate.set()
            assert await waiting == ("1", "ORG")

    async def test_who_has_left_keeps_nobody_waiting_for_room(
        self, tmp_path: Path, size: int
    ) -> None:
        (tmp_path / "b" / "1" / "model.onnx_data").write_bytes(bytes(size))
        repository, _ = open_repository(tmp_path, memory_bytes=3 * size + size // 2)
        async with Service(repository) as service:
            lease = await repository.lease("a", "")
            with pytest.raises(DeadlineExceeded):  # there is room for it when a has gone
                await repository.lease("b", "", time.monotonic_ns() + 50_000_000)
            assert await service.ask("c") == ("1", "ORG")
            lease.end_lease()
            assert await service.ask("b") == ("1", "ORG")

    async def test_what_waits_for_a_busy_model_to_go_holds_up_no_other_that_fits(
        self, tmp_path: Path, size: int
    ) -> None:
        (write_variant(tmp_path / "a" / "2", "LOC") / "model.onnx_data").write_bytes(bytes(size))
        repository, _ = open_repository(tmp_path, memory_bytes=4 * size)
        async with Service(repository) as service:
            leases = [await repository.lease("a", "1"), await repository.lease("b", "")]
            waiting = asyncio.create_task(service.ask("a", "2"))
            await asyncio.wait([waiting], timeout=0.05)
            assert await asyncio.wait_for(service.ask("c"), 10) == ("1", "ORG")
            assert not waiting.done()
            leases[0].end_lease()
            assert await waiting == ("2", "LOC")
            leases[1].end_lease()

    async def test_what_passes_one_that_waits_leaves_it_its_room_also_when_it_is_loaded(
        self, tmp_path: Path, size: int
    ) -> None:
        (write_variant(tmp_path / "a" / "2", "LOC") / "model.onnx_data").write_bytes(bytes(size))
        repository, loader = open_repository(tmp_path, memory_bytes=4 * size)
        async with Service(repository) as service:
            leases = [await repository.lease("a", "1"), await repository.lease("b", "")]
            waiting = asyncio.create_task(service.ask("a", "2"))
            await asyncio.wait([waiting], timeout=0.05)
            passed = await repository.lease("c", "")
            loader.try_out(scan_model(tmp_path, "d").versions["1"])
            behind = asyncio.create_task(repository.lease("d", ""))
            await asyncio.wait([behind], timeout=0.05)
            for lease in leases:
                lease.end_lease()
            assert await asyncio.wait_for(waiting, 10) == ("2", "LOC")
            passed.end_lease()
            (await behind).end_lease()

    async def test_what_waits_for_long_gives_its_turn_to_those_behind_it(
        self, tmp_path: Path, size: int, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Though it then has to wait for them, too; without end where a model is never idle."""
        (write_variant(tmp_path / "a" / "2") / "model.onnx_data").write_bytes(bytes(size))
        loader = WatchedLoader(LoadRules(tmp_path))
        memory = ModelMemory(loader, 3 * size + size // 2, _nothing, _not_again, turn_s=0.05)
        versions = [
            Version(name, version, found)
            for name in "abc"
            for version, found in scan_model(tmp_path, name).versions.items()
        ]
        one, two, *others = versions
        lease = await memory.wait_for(one, None)
        publication = asyncio.create_task(memory.load(two))
        colder = [asyncio.wait_for(memory.wait_for(version, None), 10) for version in others]
        leases = [lease, *await asyncio.gather(*colder)]
        assert not publication.done()
        assert "".join(capsys.readouterr()).count("model_waits_for_room") == 1
        for lease in leases:
            lease.end_lease()
        await publication
        assert two.resident is not None
        await memory.aclose(versions)

    async def test_a_version_that_is_tried_keeps_no_other_out_of_memory(
        self, tmp_path: Path, size: int
    ) -> None:
        trial = _SlowTrial(LoadRules(tmp_path), "b", "c")
        loader = WatchedLoader(LoadRules(tmp_path), trial)
        repository = Repository.open(loader, "", Policy(memory_bytes=2 * size))
        async with Service(repository) as service:
            tried = [asyncio.create_task(service.ask(name)) for name in ("b", "c")]
            await asyncio.wait(tried, timeout=0.05)
            write_variant(tmp_path / "a" / "2", "LOC")
            await asyncio.wait_for(follow(repository, tmp_path, "a"), 10)
            assert await service.ask("a") == ("2", "LOC")
            assert not any(task.done() for task in tried)
            trial.ended.set()
            await asyncio.gather(*tried, return_exceptions=True)

    async def test_a_version_that_makes_room_as_soon_as_it_is_loaded_is_live(
        self, tmp_path: Path, size: int
    ) -> None:
        """A call for the one before, which made room for it, takes the room back at once."""
        repository, loader = open_repository(tmp_path, memory_bytes=size + size // 2)
        async with Service(repository) as service:
            write_variant(tmp_path / "a" / "2", "LOC")
            loader.gate.clear()
            change = asyncio.create_task(follow(repository, tmp_path, "a"))
            await until_waiting(loader, 2)
            waiting = asyncio.create_task(service.ask("a"))
            await asyncio.wait([waiting], timeout=0.05)
            loader.gate.set()
            await change
            assert await waiting == ("1", "ORG")
            assert loader.loaded == ["a/1", "a/2", "a/1"]
            assert await service.ask("a") == ("2", "LOC")

    async def test_a_model_larger_than_the_bound_is_refused(
        self, tmp_path: Path, size: int
    ) -> None:
        (tmp_path / "b" / "1" / "model.onnx_data").write_bytes(bytes(2 * size))
        repository, _ = open_repository(tmp_path, memory_bytes=2 * size)
        async with Service(repository) as service:
            with pytest.raises(ModelNotFound, match="INFERENCE_MODEL_MEMORY_MIB"):
                await service.ask("b", "1")

    async def test_what_waits_when_the_service_ends_is_told(
        self, tmp_path: Path, size: int
    ) -> None:
        repository, loader = open_repository(tmp_path, memory_bytes=2 * size)
        async with Service(repository) as service:
            loader.gate.clear()
            waiting = asyncio.create_task(service.ask("b"))
            await until_waiting(loader, 2)
            closing = asyncio.create_task(repository.aclose())
            with pytest.raises(RecognitionError) as caught:
                await waiting
            assert caught.value.reason == Reason.DRAINING
            loader.gate.set()
            await closing
