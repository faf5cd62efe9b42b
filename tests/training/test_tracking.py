"""Runs in a store of their own."""

import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from training.fine_tune import EpochReport
from training.run import TrainingInterrupted
from training.tracking import TrackedRun, TrackingFailed, TrackingStore, open_store


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for all tests: a new one takes a second."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def store(root: Path) -> TrackingStore:
    return open_store(root)


def new_run(store: TrackingStore) -> TrackedRun:
    return store.begin("ner-en", {"epochs": "4"}, {"mlflow.source.git.commit": "abc"})


def rows(root: Path, query: str, value: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(root / "mlflow.db") as connection:
        found = connection.execute(query, (value,)).fetchall()
    connection.close()
    return found


def status(root: Path, run: TrackedRun) -> object:
    ((found,),) = rows(root, "SELECT status FROM runs WHERE run_uuid = ?", run.run_id)
    return found


def test_settings_and_figures_are_kept(store: TrackingStore, root: Path) -> None:
    with new_run(store) as run:
        run.log_epoch(EpochReport(1, 10, {"loss": 0.5, "f1.tiny": 70.0}))
        run.log_epoch(EpochReport(2, 20, {"loss": 0.25, "f1.tiny": 80.0}))
    assert rows(root, "SELECT key, value FROM params WHERE run_uuid = ?", run.run_id) == [
        ("epochs", "4")
    ]
    figures = "SELECT key, step, value FROM metrics WHERE run_uuid = ? ORDER BY key, step"
    assert rows(root, figures, run.run_id) == [
        ("f1.tiny", 10, 70.0),
        ("f1.tiny", 20, 80.0),
        ("loss", 10, 0.5),
        ("loss", 20, 0.25),
    ]
    tags = rows(root, "SELECT key, value FROM tags WHERE run_uuid = ?", run.run_id)
    assert ("mlflow.source.git.commit", "abc") in tags


@pytest.mark.parametrize(
    ("error", "expected"),
    [(TrainingInterrupted, "KILLED"), (KeyboardInterrupt, "KILLED"), (ValueError, "FAILED")],
)
def test_a_run_that_did_not_finish_says_so_and_can_go_on(
    store: TrackingStore, root: Path, error: type[BaseException], expected: str
) -> None:
    run = new_run(store)
    with pytest.raises(error), run:
        raise error
    assert status(root, run) == expected
    with store.go_on(run.run_id) as run:
        assert status(root, run) == "RUNNING"
    assert status(root, run) == "FINISHED"


def test_names_of_sets_may_hold_any_sign(store: TrackingStore, root: Path) -> None:
    """Two sets do not become one."""
    settings = {f"data.{name}.sha256": name for name in ("news+web", "news_web", "news (2024)")}
    with store.begin("ner-en", settings, {}) as run:
        run.log_epoch(EpochReport(1, 10, {"f1.news+web": 70.0, "f1.sub/": 80.0}))
    query = "SELECT value, key FROM params WHERE run_uuid = ? ORDER BY value"
    assert rows(root, query, run.run_id) == [
        ("news (2024)", "data.news _28_2024_29_.sha256"),
        ("news+web", "data.news_2b_web.sha256"),
        ("news_web", "data.news_web.sha256"),
    ]
    query = "SELECT key FROM metrics WHERE run_uuid = ? ORDER BY key"
    assert rows(root, query, run.run_id) == [("f1.news_2b_web",), ("f1.sub_2f_",)]


class Interrupted(dict[str, str]):
    """Settings over which Ctrl-C is pressed."""

    def items(self) -> NoReturn:
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("settings", "error", "expected"),
    [
        ({"k" * 1_000: "too long for MLflow"}, TrackingFailed, "FAILED"),
        (Interrupted(), KeyboardInterrupt, "KILLED"),
    ],
)
def test_a_run_whose_settings_cannot_be_written_has_ended(
    store: TrackingStore,
    root: Path,
    settings: dict[str, str],
    error: type[BaseException],
    expected: str,
) -> None:
    with pytest.raises(error):
        store.begin(f"not begun, {expected}", settings, {})
    query = "SELECT status FROM runs WHERE name = ?"
    assert rows(root, query, f"not begun, {expected}") == [(expected,)]


def test_what_ended_a_run_is_told_though_the_store_has_gone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = new_run(open_store(tmp_path))
    with sqlite3.connect(tmp_path / "mlflow.db") as connection:
        connection.execute("DROP TABLE runs")
    connection.close()
    with pytest.raises(TrainingInterrupted, match="step 3 of 4"), run:
        raise TrainingInterrupted("step 3 of 4")
    assert f"run {run.run_id} does not say that it has ended" in caplog.text


def test_the_alias_gives_the_newest_model_that_has_it(store: TrackingStore, tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    runs = [new_run(store), new_run(store)]
    for run, content in zip(runs, ("first", "second"), strict=True):
        file.write_text(content)
        with run:
            run.log_model([file], "ner-en", "champion")
    newest = runs[-1].run_id
    assert store.run_of("ner-en", "champion") == newest
    fetched = store.fetch(newest, tmp_path / "fetched")
    assert {path.name: path.read_text() for path in fetched.iterdir()} == {"config.json": "second"}


def test_what_the_store_lacks_is_named(store: TrackingStore, tmp_path: Path) -> None:
    with new_run(store) as run:
        pass
    with pytest.raises(TrackingFailed, match="nonesuch not found"):
        store.fetch("nonesuch", tmp_path)
    with pytest.raises(TrackingFailed, match="'model'"):
        store.fetch(run.run_id, tmp_path)
    with pytest.raises(TrackingFailed, match="nonesuch not found"):
        store.run_of("nonesuch", "champion")
    with pytest.raises(TrackingFailed, match="nonesuch not found"):
        store.go_on("nonesuch")


def test_a_server_is_used_where_the_environment_names_one_unless_it_must_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite in another folder stands for the server."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'server.db'}")
    monkeypatch.chdir(tmp_path)
    with new_run(open_store(tmp_path / "runs", server=False)):
        pass
    assert not (tmp_path / "server.db").exists()
    with new_run(open_store(tmp_path / "others")):
        pass
    assert (tmp_path / "server.db").exists()
    assert not (tmp_path / "others").exists()


def test_a_store_that_cannot_be_opened_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file, not a folder")
    with pytest.raises(TrackingFailed, match="--no-tracking") as failure:
        open_store(tmp_path / "runs")
    assert "\n" not in str(failure.value)


def test_without_mlflow_it_is_said_what_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(TrackingFailed, match="mlflow is not installed: make train installs it"):
        open_store(tmp_path)


def test_nothing_is_reported_to_mlflows_makers(root: Path) -> None:
    """In a process that cannot be taken for a test, in which MLflow is silent by itself."""
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from training.tracking import open_store\n"
        "open_store(Path(sys.argv[1]))\n"
        "from mlflow.telemetry import get_telemetry_client\n"
        "print(get_telemetry_client())\n"
    )
    command = ["env", "-i", sys.executable, "-W", "ignore", "-c", program, str(root)]
    run = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )
    assert run.stdout == "None\n"
