"""What a benchmark tells of the services that it starts."""

from benchmarks.services import recorded


def test_settings_are_recorded_without_secrets() -> None:
    """Results are published."""
    environment = {
        "GATEWAY_LIMIT_CONCURRENT": "8",
        "GATEWAY_REDIS_URL": "redis://:hush@redis:6379/0",
        "HOME": "/home/hush",
        "INFERENCE_MLFLOW_URI": "https://models/?token=hush",
        "INFERENCE_WORKERS": "1",
    }
    assert recorded(environment) == {
        "GATEWAY_LIMIT_CONCURRENT": "8",
        "GATEWAY_REDIS_URL": "***",
        "INFERENCE_MLFLOW_URI": "***",
        "INFERENCE_WORKERS": "1",
    }
