"""`docs/operations.md` names what there is, and nothing else."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from gateway.metrics import GatewayMetrics
from inference.metrics import Metrics as InferenceMetrics

_ROOT = Path(__file__).parents[2]
_PAGE = (_ROOT / "docs/operations.md").read_text()
_ALERTS: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((_ROOT / "deploy/prometheus/alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]


def _section(heading: str) -> str:
    return re.split(r"^#{1,3} ", _PAGE.partition(f"\n### {heading}\n")[2], flags=re.MULTILINE)[0]


def _documented(heading: str) -> dict[str, tuple[str, str, str]]:
    """Unit, labels and meaning of each metric of a section."""
    rows = re.findall(
        r"^\| `(\w+)` \| (.*?) \| (.*?) ?\| (.*?) \|$", _section(heading), flags=re.MULTILINE
    )
    return {name: (unit, labels, meaning) for name, unit, labels, meaning in rows}


def _exposed(registry: CollectorRegistry) -> set[str]:
    return {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in registry.collect()
    }


@pytest.mark.parametrize(
    ("heading", "registry"),
    [("Gateway", GatewayMetrics().registry), ("Inference", InferenceMetrics().registry)],
)
def test_every_metric_stands_in_the_page_and_every_one_of_the_page_is_exposed(
    heading: str, registry: CollectorRegistry
) -> None:
    documented = {**_documented(heading), **_documented("Both")}
    assert set(documented) == _exposed(registry)
    assert all(unit and meaning for unit, _, meaning in documented.values())
    for name, (unit, _, _) in documented.items():
        for suffix in ("seconds", "bytes"):
            if name.removesuffix("_total").endswith(f"_{suffix}"):
                assert unit.startswith(suffix), name


@pytest.mark.parametrize("alert", _ALERTS, ids=lambda alert: str(alert["alert"]))
def test_every_alert_links_to_what_to_do(alert: dict[str, Any]) -> None:
    name = alert["alert"]
    assert alert["annotations"]["runbook"] == f"docs/operations.md#{name.lower()}"
    assert len(_section(name).strip()) > 40
    severity = alert["labels"]["severity"]
    assert f"| [{name}](#{name.lower()}) | {severity} | " in _PAGE
    assert alert["annotations"]["summary"]


def test_every_alert_of_the_page_exists() -> None:
    listed = re.findall(r"^\| \[(\w+)\]\(#", _PAGE, flags=re.MULTILINE)
    assert listed == [alert["alert"] for alert in _ALERTS]


def test_every_metric_that_a_query_asks_for_is_exposed_or_recorded() -> None:
    texts = [path.read_text() for path in (_ROOT / "deploy").rglob("*.yml")]
    texts.append((_ROOT / "deploy/grafana/dashboards/nerve.json").read_text())
    asked = set(re.findall(r"\b(?:gateway|inference)_\w+", "\n".join(texts)))
    exposed = {*_exposed(GatewayMetrics().registry), *_exposed(InferenceMetrics().registry)}
    found = {re.sub(r"_(bucket|sum|count)$", "", name) for name in asked}
    assert found
    assert found <= exposed
