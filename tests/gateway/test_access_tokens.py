"""Tokens of an issuer, whose keys are on a real port."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest

from gateway.access_tokens import AccessTokens
from gateway.callers import Caller
from gateway.errors import GatewayError, Reason
from gateway.jwks import Jwks
from gateway.settings import GatewaySettings, JwtAlgorithm
from tests.clock import Clock
from tests.gateway.conftest import Serve
from tests.gateway.issuer import AUDIENCE, ISSUER, Issuer
from tests.gateway.keys_file import KeysFile
from tests.gateway.polling import until

_URL = "/v1/entities"
_TEXT = {"text": "Tim"}
_LIMIT_S = 20
_ALGORITHMS = ("RS256", "ES256")


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """An issuer that answers."""
    with Issuer() as issuer:
        yield issuer


@pytest.fixture
def settings(settings: GatewaySettings, issuer: Issuer) -> GatewaySettings:
    """Settings that take the issuer's tokens."""
    return settings.model_copy(
        update={"jwks_url": issuer.url, "jwt_issuer": ISSUER, "jwt_audience": AUDIENCE}
    )


def _tokens(issuer: Issuer, clock: Clock) -> AccessTokens:
    return AccessTokens(Jwks(issuer.url, clock), ISSUER, AUDIENCE, _ALGORITHMS)


def _patient_tokens(issuer: Issuer, clock: Clock) -> AccessTokens:
    """Tokens whose issuer may take longer than a test does."""
    jwks = Jwks(issuer.url, clock, timeout_s=10 * _LIMIT_S)
    return AccessTokens(jwks, ISSUER, AUDIENCE, _ALGORITHMS)


async def _is_refused(tokens: AccessTokens, token: str) -> bool:
    return await tokens.find(token) is None


async def _has_fetched(issuer: Issuer) -> bool:
    return issuer.fetches > 0


def _bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def _part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _sign(signed: str, secret: bytes) -> str:
    digest = hmac.digest(secret, signed.encode(), hashlib.sha256)
    return f"{signed}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


async def test_a_valid_token_is_answered(http: httpx.AsyncClient, issuer: Issuer) -> None:
    answer = await http.post(_URL, json=_TEXT, headers=_bearer(issuer.token()))
    assert answer.status_code == 200
    assert issuer.fetches == 1


async def test_without_a_token_nothing_but_health_answers(http: httpx.AsyncClient) -> None:
    assert (await http.post(_URL, json=_TEXT)).status_code == 401
    assert (await http.get("/metrics")).status_code == 401
    assert (await http.get("/healthz")).status_code == 200


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": 1_600_000_000},  # in 2020
        {"nbf": 33_000_000_000},  # in 3015
        {"iss": "https://issuer.test.evil"},
        {"aud": "another"},
        {"exp": None},
        {"iss": None},
        {"aud": None},
        {"sub": None},
        {"headers": {"kid": "unknown"}},
        {"headers": {"kid": "enc"}},
        {"headers": {"kid": "shared"}},
    ],
    ids=str,
)
async def test_no_other_token_is(
    http: httpx.AsyncClient, issuer: Issuer, claims: dict[str, Any]
) -> None:
    answer = await http.post(_URL, json=_TEXT, headers=_bearer(issuer.token(**claims)))
    assert answer.status_code == 401
    assert (await http.post(_URL, json=_TEXT, headers=_bearer(issuer.token()))).status_code == 200


async def test_a_token_without_a_signature_or_with_a_shared_secret_is_refused(
    http: httpx.AsyncClient, issuer: Issuer
) -> None:
    """`none`, and HS256 with what everybody knows: the public key, or a secret of the set."""
    good = issuer.token()
    claims = good.split(".")[1]
    unsigned = f"{_part({'alg': 'none', 'kid': 'first'})}.{claims}."
    forged = [unsigned, ".".join([*good.split(".")[:2], ""])]
    for key_id, secret in (("first", issuer.public_pem()), ("shared", b"hush")):
        signed = f"{_part({'alg': 'HS256', 'typ': 'JWT', 'kid': key_id})}.{claims}"
        forged.append(_sign(signed, secret))
    for token in forged:
        answer = await http.post(_URL, json=_TEXT, headers=_bearer(token))
        assert answer.status_code == 401


_OF_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")


@pytest.fixture
async def rsa_tokens(issuer: Issuer, clock: Clock) -> AsyncIterator[AccessTokens]:
    """Tokens of an issuer with an RSA key, all documented algorithms taken."""
    issuer.rotate("rsa", rsa_key=True)
    tokens = AccessTokens(Jwks(issuer.url, clock), ISSUER, AUDIENCE, get_args(JwtAlgorithm))
    yield tokens
    await tokens.aclose()


async def test_an_rsa_key_that_names_no_algorithm_checks_all_of_rsa(
    rsa_tokens: AccessTokens, issuer: Issuer
) -> None:
    for algorithm in _OF_RSA:
        assert await rsa_tokens.find(issuer.token(algorithm=algorithm)), algorithm


async def test_a_key_that_names_its_algorithm_checks_no_other(
    rsa_tokens: AccessTokens, issuer: Issuer
) -> None:
    issuer.declared["rsa"] = "PS256"
    for algorithm in _OF_RSA:
        found = await rsa_tokens.find(issuer.token(algorithm=algorithm))
        assert (found is not None) == (algorithm == "PS256"), algorithm


async def test_a_key_checks_only_algorithms_that_the_settings_take(
    issuer: Issuer, clock: Clock
) -> None:
    issuer.rotate("rsa", rsa_key=True)
    tokens = _tokens(issuer, clock)
    assert await tokens.find(issuer.token(algorithm="PS256")) is None
    assert await tokens.find(issuer.token(algorithm="RS256"))
    await tokens.aclose()


@pytest.mark.parametrize("algorithm", ["HS256", "none", "ES256", "EdDSA"])
async def test_an_rsa_key_checks_nothing_that_is_not_of_rsa(
    rsa_tokens: AccessTokens, issuer: Issuer, algorithm: str
) -> None:
    """The public key is no secret that a token could be signed with."""
    claims = issuer.token(algorithm="RS256").split(".")[1]
    signed = f"{_part({'alg': algorithm, 'kid': 'rsa'})}.{claims}"
    assert await rsa_tokens.find(f"{signed}.") is None
    assert await rsa_tokens.find(_sign(signed, issuer.public_pem())) is None


async def test_an_algorithm_that_does_not_fit_the_key_is_no_error_of_the_gateway(
    issuer: Issuer, clock: Clock
) -> None:
    issuer.declared["first"] = "ES384"  # its curve is that of ES256
    tokens = AccessTokens(Jwks(issuer.url, clock), ISSUER, AUDIENCE, get_args(JwtAlgorithm))
    claims = issuer.token().split(".")[1]
    forged = _sign(f"{_part({'alg': 'ES384', 'kid': 'first'})}.{claims}", b"")
    assert await tokens.find(forged) is None
    assert await tokens.find(issuer.token()) is None
    await tokens.aclose()


@pytest.mark.parametrize("token", ["a.b.c", "..", "é.é.é", f"{'a' * 9000}.b.c", "e30.e30.e30"])
async def test_what_is_no_token_is_refused_without_asking_the_issuer(
    issuer: Issuer, clock: Clock, token: str
) -> None:
    tokens = _tokens(issuer, clock)
    assert await tokens.find(token) is None
    assert issuer.fetches == 0
    await tokens.aclose()


async def test_scopes_of_models_and_admin_stand_in_the_token(issuer: Issuer, clock: Clock) -> None:
    tokens = _tokens(issuer, clock)
    for scope, models, admin in (
        ("openid nerve:model:ner-en nerve:model:other", {"ner-en", "other"}, False),
        ("nerve:model:* nerve:admin", None, True),
        ("openid", set(), False),
        (["nerve:model:*"], set(), False),
        (None, set(), False),
    ):
        caller = await tokens.find(issuer.token(scope=scope))
        expected = None if models is None else frozenset(models)
        assert caller == Caller("token:jane", models=expected, admin=admin)
    await tokens.aclose()


async def test_a_token_for_another_model_is_403(http: httpx.AsyncClient, issuer: Issuer) -> None:
    token = issuer.token(scope="nerve:model:other")
    assert (await http.post(_URL, json=_TEXT, headers=_bearer(token))).status_code == 403


async def test_a_new_key_of_the_issuer_is_taken_at_once_and_the_old_one_refused_in_time(
    issuer: Issuer, clock: Clock
) -> None:
    """Also where the token was checked before, and is remembered."""
    tokens = _tokens(issuer, clock)
    old = issuer.token()
    assert await tokens.find(old)
    clock.now_s += 10
    issuer.rotate("second")
    assert await tokens.find(issuer.token())
    assert issuer.fetches == 2
    assert await tokens.find(old) is None
    clock.now_s += 301
    issuer.rotate("third")
    assert await tokens.find(issuer.token(key_id="second")) is None
    await tokens.aclose()


async def test_invented_key_ids_are_no_load_on_the_issuer(issuer: Issuer, clock: Clock) -> None:
    tokens = _tokens(issuer, clock)
    for n in range(50):
        assert await tokens.find(issuer.token(headers={"kid": f"invented-{n}"})) is None
        clock.now_s += 0.01
    assert issuer.fetches == 1
    await tokens.aclose()


async def test_many_tokens_at_once_are_one_fetch(http: httpx.AsyncClient, issuer: Issuer) -> None:
    answers = await asyncio.gather(
        *(http.post(_URL, json=_TEXT, headers=_bearer(issuer.token())) for _ in range(20))
    )
    assert {answer.status_code for answer in answers} == {200}
    assert issuer.fetches == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"hush",
        b"[]",
        b"{}",
        b'{"keys": 1}',
        b'{"keys": [{}]}',
        pytest.param(b" " * 600_000, id="too large"),
        pytest.param(b"[" * 100_000, id="nested too deep"),
    ],
)
async def test_an_issuer_that_answers_nonsense_leaves_the_old_keys_in_force_for_a_while(
    issuer: Issuer, clock: Clock, answer: bytes
) -> None:
    tokens = _tokens(issuer, clock)
    assert await tokens.find(issuer.token())
    issuer.answer = answer
    clock.now_s += 400
    assert await tokens.find(issuer.token())
    assert issuer.fetches == 2
    clock.now_s += 3600
    with pytest.raises(GatewayError) as caught:
        await tokens.find(issuer.token())
    assert caught.value.reason is Reason.KEYS_UNAVAILABLE
    await tokens.aclose()


async def test_while_the_issuer_is_away_a_known_key_is_answered_without_waiting(
    issuer: Issuer, clock: Clock
) -> None:
    """And once it is back, a key that it has withdrawn meanwhile is refused."""
    tokens = _patient_tokens(issuer, clock)
    token = issuer.token()
    assert await tokens.find(token)
    issuer.answer = b"hush"
    clock.now_s += 400
    assert await tokens.find(token)
    issuer.answer = None
    issuer.go_on.clear()
    async with asyncio.timeout(_LIMIT_S):
        for _ in range(3):
            clock.now_s += 10
            assert await tokens.find(token)
        issuer.rotate("second")
        issuer.go_on.set()
        await until(lambda: _is_refused(tokens, token))
    assert issuer.fetches == 3, "one after the other"
    await tokens.aclose()


async def test_a_failure_of_long_ago_does_not_keep_a_withdrawn_key(
    issuer: Issuer, clock: Clock
) -> None:
    tokens = _tokens(issuer, clock)
    token = issuer.token()
    assert await tokens.find(token)
    issuer.answer = b"hush"
    clock.now_s += 400
    assert await tokens.find(token)
    issuer.answer = None
    issuer.rotate("second")
    clock.now_s += 100
    assert await tokens.find(token) is None
    await tokens.aclose()


async def test_the_fetch_that_nobody_waits_for_ends_with_the_gateway(
    issuer: Issuer, clock: Clock
) -> None:
    others = asyncio.all_tasks()
    tokens = _patient_tokens(issuer, clock)
    assert await tokens.find(issuer.token())
    issuer.answer = b"hush"
    clock.now_s += 400
    assert await tokens.find(issuer.token())
    issuer.go_on.clear()
    clock.now_s += 10
    assert await tokens.find(issuer.token())
    async with asyncio.timeout(_LIMIT_S):
        await tokens.aclose()
    assert asyncio.all_tasks() == others


async def test_an_issuer_that_drips_is_waited_for_no_longer_than_a_silent_one(
    issuer: Issuer, clock: Clock
) -> None:
    """Each byte comes in time, the set does not."""
    issuer.drip_s = 0.05
    tokens = AccessTokens(Jwks(issuer.url, clock, timeout_s=0.5), ISSUER, AUDIENCE, _ALGORITHMS)
    async with asyncio.timeout(_LIMIT_S):
        with pytest.raises(GatewayError) as caught:
            await tokens.find(issuer.token())
    assert caught.value.reason is Reason.KEYS_UNAVAILABLE
    await tokens.aclose()


async def test_a_caller_who_gives_up_leaves_the_others_their_fetch(
    issuer: Issuer, clock: Clock
) -> None:
    tokens = _tokens(issuer, clock)
    issuer.go_on.clear()
    first, second = (asyncio.create_task(tokens.find(issuer.token())) for _ in range(2))
    await until(lambda: _has_fetched(issuer))
    first.cancel()
    issuer.go_on.set()
    assert await second
    await tokens.aclose()


async def test_an_issuer_that_never_answered_is_503_and_not_401(
    settings: GatewaySettings, serve: Serve, issuer: Issuer
) -> None:
    """A caller told that its token is wrong would throw it away."""
    closed = issuer.url.replace("http://127.0.0.1", "http://127.0.0.2")
    async with serve(settings.model_copy(update={"jwks_url": closed})) as http:
        answer = await http.post(_URL, json=_TEXT, headers=_bearer(issuer.token()))
        assert answer.status_code == 503
        assert answer.json()["reason"] == "KEYS_UNAVAILABLE"
        assert answer.headers["retry-after"] == "1"


async def test_an_issuer_that_is_away_is_a_failure_of_the_route_that_was_asked(
    settings: GatewaySettings, serve: Serve, issuer: Issuer, tmp_path: Path
) -> None:
    """Alerts look at routes; a request that is refused for its own fault is none of theirs."""
    keys = KeysFile(tmp_path)
    closed = issuer.url.replace("http://127.0.0.1", "http://127.0.0.2")
    changed = {"jwks_url": closed, "keys_file": keys.path}
    header = keys.add("prometheus")
    async with serve(settings.model_copy(update=changed)) as http:
        token = _bearer(issuer.token())
        asked = [await http.post(path, json=_TEXT, headers=token) for path in (_URL, "/nowhere")]
        assert [answer.status_code for answer in asked] == [503, 503]
        assert (await http.post(_URL, json=_TEXT)).status_code == 401
        told = (await http.get("/metrics", headers=header)).text
    counted = 'gateway_http_requests_total{method="POST",'
    assert f'{counted}route="/v1/entities",status="503"}} 1.0' in told
    assert f'{counted}route="unmatched",status="503"}} 1.0' in told
    assert f'{counted}route="unmatched",status="401"}} 1.0' in told


async def test_a_remembered_token_ends_with_its_time(
    issuer: Issuer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = _tokens(issuer, clock)
    token = issuer.token()
    assert await tokens.find(token)
    now_s = time.time()  # noqa: TID251 - `exp` is a date
    monkeypatch.setattr(time, "time", lambda: now_s + 331)
    assert await tokens.find(token) is None
    await tokens.aclose()


async def test_keys_and_tokens_are_taken_side_by_side(
    settings: GatewaySettings, serve: Serve, issuer: Issuer, tmp_path: Path
) -> None:
    keys = KeysFile(tmp_path)
    header = keys.add("a")
    async with serve(settings.model_copy(update={"keys_file": keys.path})) as http:
        for shown in (header, _bearer(issuer.token())):
            assert (await http.post(_URL, json=_TEXT, headers=shown)).status_code == 200
        assert (await http.post(_URL, json=_TEXT, headers=_bearer("x"))).status_code == 401
