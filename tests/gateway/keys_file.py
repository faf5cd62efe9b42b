"""A keys file of a test's own."""

from pathlib import Path

from credentials.keys import digest_of, new_key


class KeysFile:
    """Writes keys and remembers their secrets.

    Attributes:
        path: the file.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "keys.toml"
        self._entries: dict[str, str] = {}
        self._write()

    def add(self, id_: str, models: str = '"*"', more: str = "") -> dict[str, str]:
        """Add a key; gives the header that shows it.

        Args:
            id_: of the key.
            models: TOML of its scope.
            more: further TOML lines.
        """
        secret = new_key()
        digest = digest_of(secret).hex()
        self._entries[id_] = (
            f'[[keys]]\nid = "{id_}"\nsha256 = "{digest}"\nmodels = {models}\n{more}\n'
        )
        self._write()
        return {"authorization": f"Bearer {secret}"}

    def remove(self, id_: str) -> None:
        """Take a key away."""
        del self._entries[id_]
        self._write()

    def _write(self) -> None:
        text = "\n".join(self._entries.values()) or "keys = []\n"
        fresh = self.path.with_suffix(".new")
        fresh.write_text(text)
        fresh.replace(self.path)
