"""The one error of this package."""


class CredentialInvalid(Exception):
    """A file of keys or certificates that cannot be used.

    The message names the file and says what to change; it never repeats what the file holds.
    """
