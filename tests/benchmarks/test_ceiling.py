"""The ceiling's batches, and that it does the whole work."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.ceiling import CeilingMeter
from benchmarks.in_process import Batching, InProcess
from tests.benchmarks.conftest import MODELS
from tests.tiny_model import write_version

_LENGTHS = st.lists(st.integers(3, 128), min_size=1, max_size=200).map(sorted)


@given(_LENGTHS, st.sampled_from([Batching(rows=8), Batching(padded_tokens=256)]))
def test_every_window_is_in_one_batch_and_no_batch_is_over_its_bound(
    lengths: list[int], batching: Batching
) -> None:
    batches = batching.batches(lengths)
    assert [i for batch in batches for i in batch] == list(range(len(lengths)))
    for batch in batches:
        if batching.rows:
            assert len(batch) <= batching.rows
        else:
            assert len(batch) * lengths[batch[-1]] <= 256


def test_batches_are_as_full_as_their_bound_allows() -> None:
    assert Batching(padded_tokens=256).batches([64] * 9) == [range(4), range(4, 8), range(8, 9)]
    assert Batching(rows=4).batches([64] * 9) == [range(4), range(4, 8), range(8, 9)]


@pytest.mark.parametrize(
    "batching", [Batching(rows=1), Batching(rows=4), Batching(padded_tokens=32)]
)
def test_texts_of_several_windows_are_answered_whole(tmp_path: Path, batching: Batching) -> None:
    """Decoding raises where a window has no scores, or too few."""
    write_version(tmp_path / "tiny" / "1")
    model = InProcess.load(tmp_path, window_tokens=16, workers=2, threads=1)
    texts = ["Angela Merkel met Tim Cook in Paris. " * i for i in range(1, 8)] * 3
    assert model.run(texts, batching).texts_per_s > 0
    assert model.alone_p50_ms(texts) > 0


def test_a_ceiling_is_measured_as_often_as_asked_in_the_setting_found_first() -> None:
    meter = CeilingMeter.load(MODELS, 128, {"sentences": ["Angela Merkel visited Seoul."] * 40})
    meter.search(0.5)
    meter.measure_all()
    meter.measure("sentences")
    meter.measure_all()
    rates = meter.ceilings()["sentences"].texts_per_s
    assert len(rates) == 3
    assert meter.last_two("sentences").texts_per_s == rates[1:]
    assert min(meter.ceilings()["sentences"].cpu_s_per_1000) > 0
    assert len(meter.alone().one_thread_p50_ms) == 2
