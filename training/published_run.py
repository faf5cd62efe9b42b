"""The run to publish: a folder on this machine, or one that comes out of the tracking store."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from training.tracking import TrackingFailed, TrackingStore, open_store


@contextmanager
def published_run(run: Path, run_id: str | None, alias: str | None) -> Iterator[Path]:
    """The folder of the model; one that was fetched is removed at the end.

    Args:
        run: the folder where neither of the others is given; the store is beside it.
        run_id: of a tracked run.
        alias: NAME@ALIAS of a registered model.

    Raises:
        TrackingFailed: there is no such run, or it has no model.
    """
    if not run_id and not alias:
        yield run
        return
    store = open_store(run.absolute().parent)
    with TemporaryDirectory() as folder:
        yield store.fetch(run_id or _run_of(store, alias or ""), Path(folder))


def _run_of(store: TrackingStore, text: str) -> str:
    name, at, alias = text.partition("@")
    if not (name and at and alias):
        raise TrackingFailed(f"{text!r} is not of the form NAME@ALIAS")
    return store.run_of(name, alias)
