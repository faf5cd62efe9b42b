"""What the benchmark of overload makes of its rounds."""

from collections import Counter

from benchmarks.overload import Busy, Phase, Round, Verdict


def measured(
    goodput: float = 0.95, p99_ms: float = 100.0, status: int = 429, *, late: bool = False
) -> Round:
    """A round at a peak of 1,000 a second, whose normal p99 is 80 ms."""
    refused = Counter({status: 5})
    busy = Busy(1.5, 0.3, 0.1)
    return Round(
        Phase("peak", 1000.0, 30.0, 70.0, Counter(), Busy(1.6, 0.2, 0.05)),
        Phase("normal", 800.0, 20.0, 80.0, Counter(), busy),
        Phase("over", 1000.0 * goodput, 40.0, p99_ms, refused, busy),
        Phase("recovery", 800.0, 20.0, 60.0, refused, busy),
        Phase("after", 800.0, 20.0, 60.0, refused if late else Counter(), busy),
    )


def test_cores_kept_busy_are_what_the_clocks_went_on_in_a_second() -> None:
    before, after = Busy(10.0, 1.0, 0.5), Busy(13.0, 1.5, 0.75)
    assert after.since(before, 2.0) == Busy(1.5, 0.25, 0.125)


def test_a_promise_is_judged_by_the_median_of_the_rounds() -> None:
    kept = Verdict.of([measured(), measured(goodput=0.5, p99_ms=900.0), measured()])
    assert (kept.goodput, kept.over_p99) == (0.95, 1.25)
    assert kept.kept_cores == 1.5 / 1.6
    assert kept.missed() == []
    broken = Verdict.of([measured(), *[measured(goodput=0.89, p99_ms=161.0)] * 2])
    assert broken.missed() == [
        "goodput below 0.9 of the peak",
        "p99 above 2 times that of 0.8",
    ]


def test_a_wrong_answer_or_a_late_refusal_in_any_round_is_a_miss() -> None:
    verdict = Verdict.of([measured(), measured(status=503, late=True), measured()])
    assert verdict.missed() == [
        "answered neither 200 nor 429: [503]",
        "refusals after the recovery",
    ]
