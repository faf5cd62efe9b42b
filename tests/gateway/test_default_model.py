"""What callers may rely on whose scope is limited and who name no model: over a real port."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.client import InferenceClient
from gateway.deadline import Deadline
from gateway.default_model import DefaultModel
from gateway.errors import GatewayError, Reason
from gateway.settings import GatewaySettings
from tests.clock import Clock
from tests.gateway.keys_file import KeysFile
from tests.gateway.polling import until
from tests.gateway.scripted_inference import ScriptedInference

# gRPC sends the deadline of the call before once more where it is at most 3 % later.
_ASKED_MS = 5_000
_HELD_S = 0.4


@pytest.fixture
async def default_model(inference: ScriptedInference, clock: Clock) -> AsyncIterator[DefaultModel]:
    """The question, with a connection of its own."""
    client = InferenceClient(f"dns:///127.0.0.1:{inference.port}", 1_000_000)
    await client.open()
    yield DefaultModel(client, clock)
    await client.aclose()


Ask = Callable[..., "asyncio.Task[str]"]


@pytest.fixture
def ask(default_model: DefaultModel) -> Ask:
    """Asks for the default model, in a task of its own."""

    def ask(timeout_s: float = 10.0) -> "asyncio.Task[str]":
        async def asked() -> str:
            return await default_model({"gateway.request_id": "x"}, Deadline.after(timeout_s))

        return asyncio.create_task(asked())

    return ask


async def _listed(inference: ScriptedInference, questions: int = 1) -> None:
    async def listed() -> bool:
        return len(inference.listings_s) == questions

    await until(listed)


async def test_those_who_wait_share_one_question(inference: ScriptedInference, ask: Ask) -> None:
    inference.may_list.clear()
    asked = [ask() for _ in range(5)]
    await _listed(inference)
    asked += [ask() for _ in range(5)]
    await asyncio.sleep(0)
    inference.may_list.set()
    assert await asyncio.gather(*asked) == ["ner-en"] * 10
    assert len(inference.listings_s) == 1


async def test_the_answer_holds_for_a_second(
    inference: ScriptedInference, ask: Ask, clock: Clock
) -> None:
    assert await ask() == "ner-en"
    inference.models.default_model = "other"
    clock.now_s = 0.999
    assert await ask() == "ner-en"
    clock.now_s = 1.0
    assert await ask() == "other"
    assert len(inference.listings_s) == 2


async def test_whoever_gives_up_leaves_the_question_to_the_next(
    inference: ScriptedInference, ask: Ask
) -> None:
    inference.may_list.clear()
    first, second = ask(), ask()
    await _listed(inference)
    first.cancel()
    await _listed(inference, 2)
    inference.may_list.set()
    assert await second == "ner-en"


async def test_whoever_waits_for_anothers_question_keeps_to_its_own_deadline(
    inference: ScriptedInference, ask: Ask
) -> None:
    inference.may_list.clear()
    patient = ask()
    await _listed(inference)
    with pytest.raises(GatewayError) as caught:
        await ask(0.01)
    assert caught.value.reason is Reason.DEADLINE_EXCEEDED
    assert not patient.done()
    inference.may_list.set()
    assert await patient == "ner-en"


@pytest.fixture
def keys(tmp_path: Path) -> KeysFile:
    return KeysFile(tmp_path)


@pytest.fixture
def narrow(keys: KeysFile) -> dict[str, str]:
    """The header of a key for the default model alone."""
    return keys.add("narrow", '["ner-en"]')


@pytest.fixture
def settings(settings: GatewaySettings, keys: KeysFile, narrow: dict[str, str]) -> GatewaySettings:
    """Settings with this key on."""
    assert narrow
    return settings.model_copy(update={"keys_file": keys.path})


async def test_the_question_is_given_up_with_the_request(
    http: httpx.AsyncClient, narrow: dict[str, str], inference: ScriptedInference
) -> None:
    """What the caller is willing to wait for, not what the server is."""
    inference.may_list.clear()
    headers = {**narrow, "X-Request-Timeout-Ms": "200"}
    answer = await http.post("/v1/entities", json={"text": "Tim"}, headers=headers)
    assert answer.status_code == 504
    assert answer.json()["reason"] == "DEADLINE_EXCEEDED"
    assert all(left_s < 1 for left_s in inference.listings_s)
    assert not inference.requests


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/entities", {"text": "Tim"}),
        ("/v1/entities", {"texts": ["Tim"]}),
        ("/api", "Tim"),
    ],
)
async def test_what_the_question_took_the_call_does_not_have(
    http: httpx.AsyncClient,
    narrow: dict[str, str],
    inference: ScriptedInference,
    path: str,
    body: Any,
) -> None:
    inference.may_list.clear()
    headers = {**narrow, "X-Request-Timeout-Ms": str(_ASKED_MS)}
    asked = asyncio.create_task(http.post(path, json=body, headers=headers))
    await _listed(inference)
    await asyncio.sleep(_HELD_S)
    inference.may_list.set()
    assert (await asked).status_code == 200
    assert inference.deadlines_s[0] < _ASKED_MS / 1e3 - _HELD_S / 2
