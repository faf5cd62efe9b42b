"""A real Prometheus scrapes both real services, and every query that is shipped finds data."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.e2e.stack import ROOT, WAIT_S, Ports, Process, answers, free_ports, serving, until
from tests.ports import free_port

pytestmark = pytest.mark.timeout(300)

_RULES = ROOT / "deploy/prometheus"
_DASHBOARD = ROOT / "deploy/grafana/dashboards/nerve.json"
_CALLERS = 48
_TEXT = "Angela Merkel met Tim Cook of Apple in Seoul. "


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        in_ci = os.environ.get("CI")  # noqa: TID251 - the tests' own, not a setting
        assert not in_ci, f"{name} is missing: apt-get install prometheus"
        pytest.skip(f"{name} is not installed: apt-get install prometheus")
    return found


def _alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load((_RULES / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def _inner(expression: str) -> str:
    """An alert's expression without its thresholds: what it compares."""
    return re.sub(r"\s*(==|[<>]=?)\s*[\d.]+", "", expression)


def _dashboard_queries() -> list[str]:
    panels = json.loads(_DASHBOARD.read_text())["panels"]
    return [
        target["expr"].replace("$__rate_interval", "1m")
        for panel in panels
        for target in panel.get("targets", ())
    ]


def test_rules_and_configuration_are_valid() -> None:
    promtool = _tool("promtool")
    rules = [str(_RULES / name) for name in ("rules.yml", "alerts.yml")]
    subprocess.run([promtool, "check", "rules", *rules], check=True, capture_output=True)
    config = str(_RULES / "prometheus.yml")
    subprocess.run([promtool, "check", "config", config], check=True, capture_output=True)


def test_rules_and_alerts_say_what_they_should_of_series_made_up_for_them() -> None:
    """Where all fails, or a name is gone from DNS, too, when there are no series to count."""
    cases = ROOT / "tests/e2e/rules_test.yml"
    run = subprocess.run(
        [_tool("promtool"), "test", "rules", str(cases)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def _configuration(folder: Path, ports: Ports) -> Path:
    """What is shipped, but for the targets and with a scrape a second."""
    config = yaml.safe_load((_RULES / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(_RULES / name) for name in config["rule_files"]]
    of_job = {"gateway": ports.gateway, "inference": ports.metrics}
    for job in config["scrape_configs"]:
        del job["dns_sd_configs"]
        job["static_configs"] = [{"targets": [f"127.0.0.1:{of_job.pop(job['job_name'])}"]}]
    assert not of_job, "both services are scraped"
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    return path


@contextmanager
def _prometheus(folder: Path, ports: Ports) -> Iterator[httpx.Client]:
    port = free_port()
    command = [
        _tool("prometheus"),
        f"--config.file={_configuration(folder, ports)}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    url = f"http://127.0.0.1:{port}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            until(lambda: process.poll() is not None or answers(f"{url}/-/ready"))
            assert process.poll() is None, (folder / "log").read_text()
            with httpx.Client(base_url=url, timeout=WAIT_S) as client:
                yield client
        finally:
            process.kill()
            process.wait(WAIT_S)


async def _load(url: str) -> None:
    """Calls of every kind: answered, wrong, late, and more than the queue holds."""
    # Not a client of threads: the pool of one closes connections that another thread has just been
    # given (encode/httpcore, issue 1110).
    limits = httpx.Limits(max_connections=_CALLERS)
    async with httpx.AsyncClient(base_url=url, timeout=WAIT_S, limits=limits) as client:

        async def ask(number: int) -> None:
            headers = {"x-request-timeout-ms": "5"} if number % 10 == 0 else {}
            body = {"text": "" if number % 7 == 0 else _TEXT * (1 + number % 40)}
            await client.post("/v1/entities", json=body, headers=headers)

        await asyncio.gather(*map(ask, range(200)))


def _finds(prometheus: httpx.Client, query: str) -> bool:
    answer = prometheus.get("/api/v1/query", params={"query": query}).json()
    assert answer["status"] == "success", (query, answer)
    return any(value["value"][1] != "NaN" for value in answer["data"]["result"])


def test_every_query_finds_data_under_load(tmp_path: Path) -> None:
    queries = [*_dashboard_queries(), *(_inner(alert["expr"]) for alert in _alerts())]
    recorded = yaml.safe_load((_RULES / "rules.yml").read_text())["groups"][0]["rules"]
    queries += [rule["record"] for rule in recorded]
    _tool("prometheus")
    with (
        serving(tmp_path / "stack", INFERENCE_QUEUE_TOKENS="3000") as stack,
        _prometheus(tmp_path, stack.ports) as prometheus,
    ):
        missing = queries
        end = time.monotonic() + WAIT_S
        while missing and time.monotonic() < end:
            asyncio.run(_load(stack.ports.url))
            missing = [query for query in missing if not _finds(prometheus, query)]
        assert missing == []
        for group in prometheus.get("/api/v1/rules").json()["data"]["groups"]:
            assert [rule["lastError"] for rule in group["rules"] if rule.get("lastError")] == []


def test_what_both_services_expose_is_documented(stack: Process) -> None:
    """The registries are checked beside the page; this sees that nothing else is exposed."""
    page = (ROOT / "docs/operations.md").read_text()
    for port in (stack.ports.gateway, stack.ports.metrics):
        exposition = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=WAIT_S).text
        names = re.findall(r"^# TYPE (\w+) ", exposition, re.MULTILINE)
        assert names
        assert [n for n in names if not n.endswith("_created") and f"`{n}`" not in page] == []


@pytest.mark.parametrize("name", ["NerveReplicaDown", "NerveServiceDown"])
def test_an_alert_fires_when_a_service_is_gone(tmp_path: Path, name: str) -> None:
    """Its expression, as shipped, holds once nothing listens at the targets."""
    (alert,) = (alert for alert in _alerts() if alert["alert"] == name)
    nobody = free_ports()
    with _prometheus(tmp_path, nobody) as prometheus:
        until(lambda: _finds(prometheus, alert["expr"]))
