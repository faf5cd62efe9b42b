import httpx

from tests.gateway.scripted_inference import ScriptedInference


async def test_every_model_is_listed_with_its_versions(http: httpx.AsyncClient) -> None:
    answer = await http.get("/v1/models")
    assert answer.status_code == 200
    body = answer.json()
    assert body["default_model"] == "ner-en"
    assert [model["name"] for model in body["models"]] == ["ner-en", "other"]
    assert body["models"][0] == {
        "name": "ner-en",
        "live_version": "1",
        "versions": [
            {
                "version": "1",
                "state": "READY",
                "detail": "",
                "live": True,
                "aliases": ["live"],
                "labels": ["PER", "ORG"],
                "max_window_tokens": 256,
                "min_score": 0.4,
                "label_consistency": 0.5,
            },
            {
                "version": "2",
                "state": "FAILED",
                "detail": "bad sha256",
                "live": False,
                "aliases": [],
                "labels": [],
                "max_window_tokens": 0,
                "min_score": 0.0,
                "label_consistency": 0.0,
            },
        ],
    }


async def test_one_model_is_as_it_is_listed(http: httpx.AsyncClient) -> None:
    listed = (await http.get("/v1/models")).json()["models"]
    answer = await http.get("/v1/models/other")
    assert answer.status_code == 200
    assert answer.json() == listed[1]


async def test_an_unknown_model_is_not_found(http: httpx.AsyncClient) -> None:
    answer = await http.get("/v1/models/nobody")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["reason"] == "MODEL_NOT_FOUND"
    assert "nobody" not in answer.text


async def test_models_of_a_service_that_is_down_are_unavailable(
    http: httpx.AsyncClient, inference: ScriptedInference
) -> None:
    await inference.stop()
    answer = await http.get("/v1/models")
    assert answer.status_code == 503
    assert answer.json()["reason"] == "INFERENCE_UNAVAILABLE"
