"""The loss of labels that are only partly known."""

import torch
from torch.nn.functional import cross_entropy

from training.loss import marginal_loss


def one_hot(*labels: int) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor([labels]), 4).bool()


def test_with_every_label_known_it_is_the_cross_entropy() -> None:
    torch.manual_seed(1)
    logits = torch.randn(1, 3, 4)
    expected = cross_entropy(logits[0], torch.tensor([2, 0, 3]))
    torch.testing.assert_close(marginal_loss(logits, one_hot(2, 0, 3)), expected)


def test_mass_may_move_freely_among_the_allowed_labels() -> None:
    """An O that may be MISC costs nothing when the model says MISC."""
    allowed = torch.tensor([[[True, False, True, False]]])
    assert marginal_loss(torch.tensor([[[-20.0, -20.0, 20.0, -20.0]]]), allowed).item() < 1e-6
    assert marginal_loss(torch.tensor([[[-20.0, 20.0, -20.0, -20.0]]]), allowed).item() > 30


def test_tokens_without_any_label_add_neither_loss_nor_gradient() -> None:
    logits = torch.randn(1, 2, 4, requires_grad=True)
    allowed = one_hot(1, 0)
    allowed[0, 1] = True
    loss = marginal_loss(logits, allowed)
    loss.backward()  # type: ignore[no-untyped-call]  # torch annotates it only in part
    torch.testing.assert_close(loss, cross_entropy(logits[0, :1], torch.tensor([1])))
    assert logits.grad is not None
    assert logits.grad[0, 1].abs().max() == 0
    assert logits.grad[0, 0].abs().max() > 0


def test_a_batch_without_any_label_has_no_loss() -> None:
    assert marginal_loss(torch.randn(1, 2, 4), torch.ones(1, 2, 4, dtype=torch.bool)).item() == 0
