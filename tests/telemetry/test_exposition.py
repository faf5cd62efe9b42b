from collections.abc import Iterator

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter

from telemetry.exposition import MetricsServer, render


@pytest.fixture
def registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    Counter("texts", "Texts answered.", registry=registry).inc(3)
    return registry


@pytest.fixture
def server(registry: CollectorRegistry) -> Iterator[MetricsServer]:
    server = MetricsServer(registry, "127.0.0.1", 0)
    server.start()
    yield server
    server.close()


def test_a_plain_scraper_gets_the_text_format(registry: CollectorRegistry) -> None:
    exposition = render(registry, None)
    assert exposition.content_type.startswith("text/plain")
    assert b"texts_total 3.0" in exposition.body


def test_a_scraper_may_ask_for_openmetrics(registry: CollectorRegistry) -> None:
    exposition = render(registry, "application/openmetrics-text; version=1.0.0")
    assert exposition.content_type.startswith("application/openmetrics-text")
    assert exposition.body.endswith(b"# EOF\n")


_ODD_VERSIONS = (
    "application/openmetrics-text; version=x",
    "application/openmetrics-text; version=1.x",
    "application/openmetrics-text; version=1..0",
    "application/openmetrics-text; version=" + "9" * 5000,
    'text/plain; version="0.0.4"',
    "text/plain; version=one, application/openmetrics-text; version=two",
)


@pytest.mark.parametrize("accept", _ODD_VERSIONS)
def test_a_version_that_is_no_number_gets_the_text_format(
    registry: CollectorRegistry, server: MetricsServer, accept: str
) -> None:
    """From the gateway, and from the server that the inference service has for it."""
    exposition = render(registry, accept)
    assert exposition.content_type.startswith("text/plain; version=0.0.4")
    assert b"texts_total 3.0" in exposition.body
    url = f"http://127.0.0.1:{server.port}/metrics"
    answer = httpx.get(url, headers={"Accept": accept}, trust_env=False)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")


def test_the_next_format_is_answered_where_the_first_has_no_version_that_is_a_number(
    registry: CollectorRegistry,
) -> None:
    accept = 'application/openmetrics-text; version=x, application/openmetrics-text;version="1.0.0"'
    exposition = render(registry, accept)
    assert exposition.content_type.startswith("application/openmetrics-text; version=1.0.0;")


def test_the_server_answers_on_the_port_the_system_chose(server: MetricsServer) -> None:
    answer = httpx.get(f"http://127.0.0.1:{server.port}/metrics", trust_env=False)
    assert answer.status_code == 200
    assert "texts_total 3.0" in answer.text


def test_a_closed_server_answers_no_more(registry: CollectorRegistry) -> None:
    server = MetricsServer(registry, "127.0.0.1", 0)
    server.start()
    port = server.port
    server.close()
    server.close()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False)
    with pytest.raises(RuntimeError, match="not running"):
        _ = server.port


def test_a_running_server_is_not_started_twice(server: MetricsServer) -> None:
    with pytest.raises(RuntimeError, match="already running"):
        server.start()
