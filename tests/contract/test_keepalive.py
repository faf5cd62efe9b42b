"""Pings of the gateway, and what the inference service takes for too many of them."""

from gateway.client import KEEPALIVE_INTERVAL_MS
from inference.server import CHANNEL_OPTIONS


def test_the_gateway_pings_less_often_than_inference_allows() -> None:
    """More often, and the connection ends with GOAWAY in the middle of its calls."""
    allowed = dict(CHANNEL_OPTIONS)
    for name in ("min_ping_interval_without_data", "min_recv_ping_interval_without_data"):
        assert allowed[f"grpc.http2.{name}_ms"] < KEEPALIVE_INTERVAL_MS
