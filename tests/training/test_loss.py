"""The loss of labels that are only partly known."""

import torch
from torch.nn.functional import cross_entropy

from training.loss import marginal_loss, taught_loss

ALIKE = torch.ones(1, 3)


def one_hot(*labels: int) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor([labels]), 4).bool()


def test_with_every_label_known_it_is_the_cross_entropy() -> None:
    torch.manual_seed(1)
    logits = torch.randn(1, 3, 4)
    expected = cross_entropy(logits[0], torch.tensor([2, 0, 3]))
    torch.testing.assert_close(marginal_loss(logits, one_hot(2, 0, 3), ALIKE), expected)


def test_mass_may_move_freely_among_the_allowed_labels() -> None:
    """An O that may be MISC costs nothing when the model says MISC."""
    allowed = torch.tensor([[[True, False, True, False]]])
    for best, least, most in ((2, 0, 1e-6), (1, 30, 50)):
        logits = torch.full((1, 1, 4), -20.0)
        logits[0, 0, best] = 20
        assert least <= marginal_loss(logits, allowed, ALIKE[:, :1]).item() <= most


def test_tokens_without_any_label_add_neither_loss_nor_gradient() -> None:
    logits = torch.randn(1, 2, 4, requires_grad=True)
    allowed = one_hot(1, 0)
    allowed[0, 1] = True
    loss = marginal_loss(logits, allowed, ALIKE[:, :2])
    loss.backward()  # type: ignore[no-untyped-call]  # torch annotates it only in part
    torch.testing.assert_close(loss, cross_entropy(logits[0, :1], torch.tensor([1])))
    assert logits.grad is not None
    assert logits.grad[0, 1].abs().max() == 0
    assert logits.grad[0, 0].abs().max() > 0


def test_a_batch_without_any_label_has_no_loss() -> None:
    anything = torch.ones(1, 3, 4, dtype=torch.bool)
    assert marginal_loss(torch.randn(1, 3, 4), anything, ALIKE).item() == 0


def test_a_token_counts_by_its_weight() -> None:
    """As often as it stands there: a third by weight is one of three."""
    torch.manual_seed(1)
    logits, allowed = torch.randn(1, 3, 4), one_hot(2, 0, 3)
    targets = torch.randn(1, 3, 4).softmax(-1)
    weights = torch.tensor([[2.0, 0.0, 1.0]])
    counted = [0, 0, 2]
    repeated = (logits[:, counted], allowed[:, counted])
    torch.testing.assert_close(
        marginal_loss(logits, allowed, weights), marginal_loss(*repeated, ALIKE)
    )
    torch.testing.assert_close(
        taught_loss(logits, allowed, targets, weights, 0.7),
        taught_loss(*repeated, targets[:, counted], ALIKE, 0.7),
    )


def test_where_no_teacher_was_asked_the_annotation_is_the_loss() -> None:
    torch.manual_seed(1)
    logits, allowed = torch.randn(1, 3, 4), one_hot(2, 0, 3)
    nobody = torch.zeros(1, 3, 4)
    torch.testing.assert_close(
        taught_loss(logits, allowed, nobody, ALIKE, 0.9), marginal_loss(logits, allowed, ALIKE)
    )


def test_where_they_were_asked_both_share_the_loss() -> None:
    torch.manual_seed(1)
    logits, allowed = torch.randn(1, 3, 4), one_hot(2, 0, 3)
    targets = torch.randn(1, 3, 4).softmax(-1)
    targets[0, 2] = 0
    annotation = cross_entropy(logits[0], torch.tensor([2, 0, 3]), reduction="none")
    teachers = cross_entropy(logits[0], targets[0], reduction="none")
    expected = (0.3 * annotation[:2] + 0.7 * teachers[:2]).sum() + annotation[2]
    torch.testing.assert_close(taught_loss(logits, allowed, targets, ALIKE, 0.7), expected / 3)


def test_the_loss_is_least_at_the_targets_and_blind_to_padding() -> None:
    targets = torch.randn(2, 4, 9).softmax(-1)
    logits = targets.log()
    targets[1, 3] = 0
    anything, alike = torch.ones(2, 4, 9, dtype=torch.bool), torch.ones(2, 4)
    best = taught_loss(logits, anything, targets, alike, 1.0)
    logits[1, 3] += torch.arange(9)
    assert taught_loss(logits, anything, targets, alike, 1.0) == best
    logits[0, 1] += torch.arange(9)
    assert taught_loss(logits, anything, targets, alike, 1.0) > best
