"""How the channel to the inference service spreads, watches and repeats calls: data for gRPC.

gRPC's own core does all three, below any code of ours, so a repeated call keeps its deadline, its
request id and its caller's right to cancel it.

Source: gRFC A6 (retries and their throttling), A17 (health checks of clients), the service config's
`grpc.service_config.proto`.
"""

import json
from typing import Any, Final

# What a replica says of itself, whatever models it has: SERVING from its start until it drains or
# one of its workers hangs. The models' own names would close the way to a replica that must still
# be told to load one. The inference service holds the same name; a test in tests/e2e asks it.
REPLICA_HEALTH: Final = "nerve.replica"

# Calls that change nothing, so that asking twice is asking once. A stream is repeated only while
# its options were not accepted. Load and unload are missing on purpose.
_REPEATABLE: Final = {
    "ner.v1.EntityRecognizer": ("Recognize", "RecognizeStream", "Classify", "ListModels"),
    "inference.GRPCInferenceService": (
        "ServerLive",
        "ServerReady",
        "ServerMetadata",
        "ModelReady",
        "ModelMetadata",
        "ModelInfer",
        "RepositoryIndex",
    ),
}

# Another replica is asked after some 20 ms: long enough for the channel to have noticed which of
# them is gone. The fourth attempt comes some 420 ms after the first, more than the longest pause
# between two attempts to connect; a replica that starts needs seconds, and nobody waits for that.
_RETRY_POLICY: Final = {
    "maxAttempts": 4,
    "initialBackoff": "0.02s",
    "maxBackoff": "0.4s",
    "backoffMultiplier": 4,
    # The peer is gone (UNAVAILABLE) or gave up what it ran to go (CANCELLED; a caller's own leaving
    # repeats nothing). Overload is RESOURCE_EXHAUSTED: a repeated call would add to it.
    "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
}

# The budget of retries: a failed attempt takes one token, an answered call brings a tenth of one,
# and below half of the tokens nothing is repeated. So 500 calls may be cut at once by a replica
# that dies, and where nothing answers for long, each call is one attempt.
_RETRY_BUDGET: Final = {"maxTokens": 1000, "tokenRatio": 0.1}


def service_config() -> str:
    """The service config of the channel, as JSON."""
    names = [
        {"service": service, "method": method}
        for service, methods in _REPEATABLE.items()
        for method in methods
    ]
    config: dict[str, Any] = {
        "loadBalancingConfig": [{"round_robin": {}}],
        "healthCheckConfig": {"serviceName": REPLICA_HEALTH},
        "methodConfig": [{"name": names, "retryPolicy": _RETRY_POLICY}],
        "retryThrottling": _RETRY_BUDGET,
    }
    return json.dumps(config)
