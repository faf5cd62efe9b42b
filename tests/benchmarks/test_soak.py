"""A short soak: the services give back what they used, whatever callers do."""

import pytest

from benchmarks.mischief import calls
from benchmarks.services import Services
from benchmarks.soak import soak
from benchmarks.ways import Way

pytestmark = pytest.mark.timeout(120)


def test_nothing_is_kept_after_right_and_wrong_calls_and_callers_that_left(
    services: Services,
) -> None:
    found = soak(services, requests=600)
    assert found.calls == 600
    assert found.leaks == []


@pytest.mark.parametrize("way", [Way.REST, Way.GRPC])
def test_a_soak_holds_every_kind_of_mischief(way: Way) -> None:
    some = calls(way, "host:1", 1_000, seed=1)
    leaving = [call for call in some if call.leave_after_ms is not None]
    wrong = {status for call in some for status in call.accepts} - {0, 200}
    assert 50 < len(leaving) < 200
    assert wrong >= ({400, 404, 422, 504} if way is Way.REST else {2, 3, 4, 5})
    assert max(len(call.wire) for call in some) > 200_000
    assert sum(call.is_checked for call in some) > 600
