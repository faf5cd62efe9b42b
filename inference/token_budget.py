"""How many tokens the texts of a call may have together."""

from inference.errors import Reason, RequestInvalid


class TokenBudget:
    """Counts a call's tokens while they are made, so that none is made in vain.

    Args:
        tokens: most in the call, special tokens and those that windows share included.
    """

    __slots__ = ("_left", "_tokens")

    def __init__(self, tokens: int) -> None:
        self._tokens = self._left = tokens

    def take(self, tokens: int) -> None:
        """Counts the tokens of one text.

        Raises:
            RequestInvalid: TEXT_TOO_LONG; the call has more than it may have.
        """
        self._left -= tokens
        if self._left < 0:
            raise RequestInvalid(
                Reason.TEXT_TOO_LONG,
                f"the call has more than {self._tokens} tokens: send less in one, or choose a"
                " smaller stride if it has one",
            )
