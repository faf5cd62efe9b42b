"""A trial: a process of its own that loads a version before this one does.

A file made to be unloadable can end the process that loads it (a stack that overflows, an
allocator that gives up) or take its memory (a graph that is folded into gigabytes). There it takes
a child, whose memory and time are bounded, and the service says why the version was refused.
"""

import contextlib
import json
import resource
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO

from inference import version_folder
from inference.errors import LoadFailed, ModelInvalid
from inference.folder_files import Listing, list_files
from inference.version_folder import LoadRules

_MIB = 1024 * 1024
# Starting a child takes half a second, keeping one some 80 MB.
_IDLE_S = 30.0
# A 100 MB model loads in about a second; a machine that is busy may take ten times as long.
TIMEOUT_S = 120.0
# Optimizing a graph holds its weights twice for a while, and a run needs room for its activations.
_MEMORY_FACTOR = 2
_MEMORY_SLACK_BYTES = 512 * _MIB
# The child is this program, found where this file is, however the service was started.
_PROGRAM = "import sys; sys.path.insert(0, sys.argv[1]); from inference.trial import main; main()"
_STATM = Path("/proc/self/statm")
_STATM_DATA = 5  # the field that RLIMIT_DATA bounds, in pages


class Trial:
    """Tries versions in a child process; safe for threads, one version at a time.

    Args:
        rules: how versions are loaded.
        timeout_s: for one version.
        idle_s: how long a child is kept after a check.
    """

    def __init__(
        self, rules: LoadRules, timeout_s: float = TIMEOUT_S, idle_s: float = _IDLE_S
    ) -> None:
        self._rules = rules
        self._timeout_s = timeout_s
        self._idle_s = idle_s
        self._child: subprocess.Popen[str] | None = None
        self._passed: set[tuple[Path, Listing]] = set()
        self._one = threading.Lock()
        self._rest = threading.Timer(idle_s, self._end_rest)  # each check begins it anew

    def has_passed(self, folder: Path, listing: Listing) -> bool:
        """Whether this content of a folder has been loaded before, so that `check` need not."""
        return (folder, listing) in self._passed

    def check(self, folder: Path, listing: Listing) -> None:
        """Loads a version in the child, unless this content of it has been loaded before.

        Args:
            folder: the version folder.
            listing: its content.

        Raises:
            ModelInvalid: it cannot be loaded, or the child did not survive it.
            LoadFailed: it took too long, the system refused a file of it, or somebody else killed
                the child.
        """
        if self.has_passed(folder, listing):
            return  # without waiting for another's trial
        with self._one:
            if self.has_passed(folder, listing):
                return
            self._rest.cancel()
            try:
                self._ask(folder)
            finally:
                self._rest = threading.Timer(self._idle_s, self._end_rest)
                self._rest.daemon = True
                self._rest.start()
            self._passed.add((folder, listing))

    def close(self) -> None:
        """Ends the child, and a check that is under way; the next check starts another."""
        self._rest.cancel()
        if self._one.acquire(blocking=False):
            self._stop()
            self._one.release()
        elif self._child is not None:
            self._child.kill()

    def _end_rest(self) -> None:
        """Ends the child that nobody asked anything for a while; a check has begun anew."""
        if self._one.acquire(blocking=False):
            self._stop()
            self._one.release()

    def _ask(self, folder: Path) -> None:
        if self._child is not None and self._child.poll() is not None:
            self._stop()  # it ended while it was idle
        child = self._child or self._start()
        rules = self._rules
        question = {
            "folder": str(folder),
            "root": str(rules.root),
            "window_tokens": rules.window_tokens,
            "threads": rules.threads,
            "max_bytes": rules.max_bytes,
        }
        try:
            _pipe(child.stdin).write(json.dumps(question) + "\n")
            _pipe(child.stdin).flush()
            answered, _, _ = select.select([_pipe(child.stdout)], [], [], self._timeout_s)
            line = _pipe(child.stdout).readline() if answered else ""
        except BrokenPipeError:
            answered, line = [_pipe(child.stdout)], ""
        if line:
            answer = json.loads(line)
            if answer["detail"]:
                raise (LoadFailed if answer["passing"] else ModelInvalid)(answer["detail"])
            return
        code = self._stop()
        if not answered:
            raise LoadFailed(
                f"loading it took more than {self._timeout_s:.0f} s in a trial process"
            )
        # A child that fails ends by another signal; this one comes from a system without memory.
        raise (LoadFailed if code == -signal.SIGKILL else ModelInvalid)(
            f"loading it ended a trial process (exit code {code})"
        )

    def _start(self) -> subprocess.Popen[str]:
        root = Path(__file__).parents[1]
        # Backtraces of the libraries would stand between the log lines.
        self._child = subprocess.Popen(  # noqa: S603 - this program
            [sys.executable, "-c", _PROGRAM, str(root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        return self._child

    def _stop(self) -> int:
        child, self._child = self._child, None
        if child is None:
            return 0
        child.kill()
        code = child.wait()
        with contextlib.suppress(BrokenPipeError):
            _pipe(child.stdin).close()
        _pipe(child.stdout).close()
        return code


def main() -> None:
    """The child: answers one line for each line, until its input ends."""
    for line in sys.stdin:
        error = _try(json.loads(line))
        answer = {"detail": str(error or ""), "passing": isinstance(error, LoadFailed)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _try(question: dict[str, str | int]) -> ModelInvalid | None:
    """Loads a version; says why that failed."""
    folder = Path(str(question["folder"]))
    rules = LoadRules(
        Path(str(question["root"])),
        int(question["window_tokens"]),
        int(question["threads"]),
        int(question["max_bytes"]),
    )
    try:
        _bound_memory(version_folder.memory_bytes(list_files(folder, rules.root)))
        version_folder.load(folder, rules)
    except ModelInvalid as error:
        return error
    except OSError as error:
        return LoadFailed.refused(error, folder)
    except MemoryError:
        return ModelInvalid("loading it takes more memory than its size explains")
    return None


def _bound_memory(size_bytes: int) -> None:
    """Bounds this process's data to what it has and what a model of this size may take."""
    if not _STATM.exists():
        return
    pages = int(_STATM.read_text().split()[_STATM_DATA])
    bound = pages * resource.getpagesize() + _MEMORY_FACTOR * size_bytes + _MEMORY_SLACK_BYTES
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (bound, hard))


def _pipe(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        raise RuntimeError("the child was started without pipes")
    return pipe
