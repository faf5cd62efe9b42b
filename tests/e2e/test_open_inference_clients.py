"""Clients that people already have work unchanged: the real packages, in processes of their own.

They need an older protobuf than the services are built with, and register messages under the names
of ours, so they are installed beside and not among what the tests need (`make` does it).
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import shipped
from tests.e2e.stack import ROOT, WAIT_S, Process, serving

pytestmark = pytest.mark.timeout(240)

_PYTHON = ROOT / ".venv-clients" / "bin" / "python"
_TEXTS = [
    "Angela Merkel met Tim Cook of Apple in Seoul.",
    "Nothing to see here.",
    "\U0001f468\u200d\U0001f469 Maria Gonza\u0301lez left Madrid.\r\n\u05e9\u05dc\u05d5 Paris",
]
# As these protocols spell them, and as `/v1/entities` does.
_PARAMETERS = {"labels": "PER,LOC", "min_score": 0.5, "offset_unit": "utf16", "aggregation": "max"}
_OPTIONS = {**_PARAMETERS, "labels": ["PER", "LOC"]}


def _answers(stack: Process, script: str) -> dict[str, Any]:
    """What a client's script says that it was answered."""
    assert _PYTHON.exists(), "`make test` installs the clients into .venv-clients"
    asked = {
        "http": stack.ports.url.removeprefix("http://"),
        "url": stack.ports.url,
        "grpc": stack.ports.grpc_address,
        "model": "ner-en",
        "version": shipped.VERSION,
        "texts": _TEXTS,
        "parameters": _PARAMETERS,
    }
    path = Path(__file__).parent / "clients" / script
    done = subprocess.run(
        [_PYTHON, path],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=3 * WAIT_S,
        env={},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers: dict[str, Any] = json.loads(done.stdout)
    return answers


@pytest.fixture(scope="module")
def triton(stack: Process) -> dict[str, Any]:
    """The answers to NVIDIA's client, by its kind."""
    return _answers(stack, "triton.py")


@pytest.fixture(scope="module")
def kserve(stack: Process) -> dict[str, Any]:
    """The answers to KServe's clients, by their kind."""
    return _answers(stack, "kserve_sdk.py")


def _expected(http: httpx.Client, **options: Any) -> list[Any]:
    response = http.post("/v1/entities", json={"texts": _TEXTS, **options})
    return [result["entities"] for result in response.json()["results"]]


def _check_ways(answers: dict[str, Any], http: httpx.Client) -> None:
    """Every way of asking gives the numbers of `/v1/entities`, to the last digit."""
    expected = _expected(http)
    assert [entity["text"] for entity in expected[0]] == [
        "Angela Merkel", "Tim Cook", "Apple", "Seoul",
    ]  # fmt: skip
    assert {way: found for way, found in answers["ways"].items() if found != expected} == {}


def _check_health(answers: dict[str, Any]) -> None:
    assert answers["live"]
    assert answers["model ready"]
    assert answers.get("ready", True)
    assert not answers.get("unknown ready", False)


@pytest.mark.parametrize("kind", ["http", "http aio", "grpc", "grpc aio"])
def test_tritons_client_gets_the_same_entities_in_every_way(
    triton: dict[str, Any], http: httpx.Client, kind: str
) -> None:
    _check_ways(triton[kind], http)
    _check_health(triton[kind])


@pytest.mark.parametrize("kind", ["rest", "grpc"])
def test_kserves_clients_get_the_same_entities_in_every_way(
    kserve: dict[str, Any], http: httpx.Client, kind: str
) -> None:
    _check_ways(kserve[kind], http)
    _check_health(kserve[kind])


@pytest.mark.parametrize("kind", ["http", "grpc"])
def test_tritons_client_passes_options_as_parameters(
    triton: dict[str, Any], http: httpx.Client, kind: str
) -> None:
    assert triton[kind]["options"] == _expected(http, **_OPTIONS)
    assert triton[kind]["options"] != _expected(http)


@pytest.mark.parametrize("kind", ["rest", "grpc"])
def test_kserves_clients_pass_options_as_parameters(
    kserve: dict[str, Any], http: httpx.Client, kind: str
) -> None:
    assert kserve[kind]["options"] == _expected(http, **_OPTIONS)


@pytest.mark.parametrize("kind", ["http", "grpc"])
def test_tritons_client_reads_ids_metadata_and_the_index(triton: dict[str, Any], kind: str) -> None:
    answers = triton[kind]
    assert answers["id"] == "7"
    assert answers["server"]["name"] == "nerve"
    (text,), (entities,) = answers["model"]["inputs"], answers["model"]["outputs"]
    assert (text["name"], text["datatype"], entities["name"]) == ("text", "BYTES", "entities")
    assert [int(size) for size in text["shape"]] == [-1]  # protobuf's JSON has it as a string
    (model,) = answers["index"]
    assert (model["name"], model["version"], model["state"]) == ("ner-en", shipped.VERSION, "READY")


@pytest.mark.parametrize(
    ("kind", "not_found", "invalid", "off"),
    [
        ("http", "404", "422", "403"),
        (
            "grpc",
            "StatusCode.NOT_FOUND",
            "StatusCode.INVALID_ARGUMENT",
            "StatusCode.UNIMPLEMENTED",
        ),
    ],
)
def test_tritons_client_is_told_what_to_change(
    triton: dict[str, Any], kind: str, not_found: str, invalid: str, off: str
) -> None:
    answers = triton[kind]
    assert answers["unknown"]["status"] == not_found
    assert "served are ner-en" in answers["unknown"]["message"]
    assert answers["misspelt"]["status"] == invalid
    assert "labels, min_score" in answers["misspelt"]["message"]
    for call in ("load", "unload"):
        assert answers[call]["status"] == off
        # The gateway refuses its own callers before it asks.
        refused = "admin calls are off" if kind.startswith("http") else "model control is off"
        assert answers[call]["message"].startswith(refused)


@pytest.mark.parametrize(("kind", "status"), [("rest", "404"), ("grpc", "StatusCode.NOT_FOUND")])
def test_kserves_clients_are_told_what_to_change(
    kserve: dict[str, Any], kind: str, status: str
) -> None:
    assert kserve[kind]["unknown"]["status"] == status
    assert "served are ner-en" in kserve[kind]["unknown"]["message"]
    assert kserve[kind]["id"] == "7"


def test_tritons_client_unloads_and_loads_where_the_operator_allows_it(tmp_path: Path) -> None:
    allowed = {"INFERENCE_MODEL_CONTROL": "explicit", "GATEWAY_ADMIN_CALLS": "true"}
    with serving(tmp_path, **allowed) as stack:
        seen = _answers(stack, "triton_control.py")
        assert seen == {"http": [True, False, True], "grpc": [True, False, True]}
        answer = httpx.post(f"{stack.ports.url}/v1/entities", json={"texts": _TEXTS}, timeout=60)
        assert answer.json()["results"][0]["entities"][0]["text"] == "Angela Merkel"
