"""Copies of calls that a candidate answers for comparison."""

import json
from pathlib import Path

import pytest

from inference.shadow import Shadow
from tests.live_models import Service, open_repository, write_variant

pytestmark = pytest.mark.timeout(60)


class Shadowed(Service):
    """A service whose candidate, version 9, says LOC; the live version says ORG."""

    def __init__(
        self, root: Path, share: float = 1.0, *, busy: bool = False, bounded: bool = False
    ) -> None:
        write_variant(root / "tiny" / "1", "ORG")
        write_variant(root / "tiny" / "9", "LOC")
        routing = {"aliases": {"live": "1"}, "shadow": {"version": "9", "share": share}}
        (root / "tiny" / "routing.json").write_text(json.dumps(routing))
        repository, self.loader = open_repository(root, memory_bytes=10**9 if bounded else 0)
        super().__init__(repository)
        self.shadow = Shadow(self.engine, self.metrics, lambda: busy, lambda: 0.5)
        self.engine.on_answer = self.shadow.offer

    def counted(self) -> dict[str, float]:
        """Texts by outcome."""
        outcomes = ("same", "different", "failed", "skipped")
        name = "inference_shadow_texts_total"
        found = {
            outcome: self.metrics.registry.get_sample_value(
                name, {"model": "tiny", "outcome": outcome}
            )
            for outcome in outcomes
        }
        return {outcome: value for outcome, value in found.items() if value}


async def test_differences_are_counted_and_the_answer_is_the_live_versions(tmp_path: Path) -> None:
    async with Shadowed(tmp_path) as service:
        assert await service.ask() == ("1", "ORG")
        await service.shadow.settled()
        assert service.counted() == {"different": 1}
        # What the candidate answers itself is not compared with itself.
        assert await service.ask(version="9") == ("9", "LOC")
        await service.shadow.settled()
        assert service.counted() == {"different": 1}


async def test_equal_answers_are_counted_as_such(tmp_path: Path) -> None:
    async with Shadowed(tmp_path) as service:
        (tmp_path / "tiny" / "9").rename(tmp_path / "tiny" / ".9")
        write_variant(tmp_path / "tiny" / "9", "ORG")
        (found,) = service.loader.scan().values()
        await service.repository.apply("tiny", found)
        assert await service.ask() == ("1", "ORG")
        await service.shadow.settled()
        assert service.counted() == {"same": 1}


async def test_only_the_share_is_copied(tmp_path: Path) -> None:
    async with Shadowed(tmp_path, share=0.5) as service:
        await service.ask()
        await service.shadow.settled()
        assert service.counted() == {}


async def test_a_candidate_that_is_not_in_memory_takes_nobodys_place(tmp_path: Path) -> None:
    async with Shadowed(tmp_path, bounded=True) as service:
        assert await service.ask() == ("1", "ORG")
        await service.shadow.settled()
        assert service.counted() == {"skipped": 1}
        assert service.loader.loaded == ["tiny/1"]


async def test_under_load_copies_are_dropped(tmp_path: Path) -> None:
    async with Shadowed(tmp_path, busy=True) as service:
        assert await service.ask() == ("1", "ORG")
        await service.shadow.settled()
        assert service.counted() == {"skipped": 1}


async def test_a_candidate_that_cannot_answer_changes_no_answer(tmp_path: Path) -> None:
    async with Shadowed(tmp_path) as service:
        version = service.repository.served("tiny").versions["9"]
        service.repository.memory.room.retire(version)
        version.detail = "broken"
        assert await service.ask() == ("1", "ORG")
        await service.shadow.settled()
        assert service.counted() == {"failed": 1}
