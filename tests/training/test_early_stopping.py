"""Early stopping."""

from training.early_stopping import BestEpoch


def test_of_equal_epochs_the_first_is_the_best() -> None:
    best = BestEpoch().after(1, 50.0).after(2, 60.0).after(3, 60.0).after(4, 55.0)
    assert best == BestEpoch(2, 60.0)


def test_an_epoch_that_finds_nothing_is_better_than_none() -> None:
    assert BestEpoch().after(1, 0.0).epoch == 1


def test_training_ends_after_as_many_worse_epochs_as_patience_allows() -> None:
    best = BestEpoch(2, 60.0)
    assert [best.ends(epoch, 2) for epoch in (2, 3, 4, 5)] == [False, False, True, True]


def test_without_patience_training_never_ends_early() -> None:
    assert not BestEpoch(1, 60.0).ends(100, 0)
