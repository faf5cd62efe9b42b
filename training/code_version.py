"""The code version: which commit this package is at, and whether it was changed since."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class CodeVersion:
    """What git says of this package."""

    commit: str | None = None  # None where git knows none
    is_changed: bool = False  # files of the package differ from the commit

    @property
    def exact_commit(self) -> str | None:
        """The commit where it is just this code."""
        return None if self.is_changed else self.commit


def code_version() -> CodeVersion:
    """Asks git."""
    folder = Path(__file__).parent
    git = shutil.which("git")
    if git is None:
        return CodeVersion()
    try:
        return CodeVersion(
            _output(git, "rev-parse", "HEAD", folder=folder),
            bool(_output(git, "status", "--porcelain", "--", str(folder), folder=folder)),
        )
    except subprocess.CalledProcessError:
        return CodeVersion()


def _output(*command: str, folder: Path) -> str:
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)  # noqa: S603 - constant arguments
    return run.stdout.strip()
