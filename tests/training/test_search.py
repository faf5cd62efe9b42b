"""Searching recipes, on a few sentences of the sample and a tiny encoder."""

import json
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.storages import RDBStorage

from training.__main__ import main
from training.asking import Question, ask
from training.best_recipe import BestRecipe, BestRecipeInvalid, read_best, write_best
from training.checkpoint import WEIGHTS_FILE, load_record
from training.data_folder import find_sets, read_training_corpora
from training.fine_tune import EpochReport, StopTraining
from training.recipe import Recipe
from training.run import TrainingInterrupted
from training.sample.generate import SAMPLE
from training.search import Search, run_search
from training.search_space import DEFAULT_SPACE, Choices, FloatRange, SearchSpace
from training.study import SearchRefused, new_pruner, worked_on
from training.study_plots import write_plots
from training.trial_reports import Reports

_SET = "sample_news"
_TRAIN_LINES, _DEV_LINES = 16, 6


@pytest.fixture(autouse=True)
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    shutil.copytree(SAMPLE / _SET, data / _SET)
    shutil.copy(SAMPLE / "label_map.json", data)
    for split, n in (("train", _TRAIN_LINES), ("dev", _DEV_LINES)):
        path = data / _SET / f"{split}.jsonl"
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:n]))
    return data


@pytest.fixture
def search(data: Path, encoder: Path, tmp_path: Path) -> Search:
    space = SearchSpace(
        (FloatRange("learning_rate", 1e-3, 1e-2, log=True), Choices("epochs", (1, 2)))
    )
    base = Recipe(encoder=str(encoder), batch_size=8, threads=1)
    return Search(data, tmp_path / "study", space, base)


def test_a_search_finds_a_recipe_and_goes_on_where_it_ended(search: Search) -> None:
    first = run_search(search, 2, 1)
    assert first.finished == 2
    assert read_best(search.folder).recipe == replace(first.best.recipe, threads=2)
    assert first.best.recipe.batch_size == 8
    assert 1e-3 <= first.best.recipe.learning_rate <= 1e-2
    names = {path.name for path in first.files}
    assert {"best.json", "trials.csv", "history.png", "history.html"} <= names
    table = (search.folder / "trials.csv").read_text().splitlines()
    assert table[0] == "trial,state,mean_f1,epochs,learning_rate"
    assert [row.split(",")[:2] for row in table[1:]] == [["0", "complete"], ["1", "complete"]]
    assert first.values[first.best.trial] == first.best.mean_f1
    assert not list(search.folder.glob("trial-*"))

    further = run_search(search, 3, 1)
    assert further.finished == 3
    assert further.best.mean_f1 >= first.best.mean_f1
    assert run_search(search, 3, 1).finished == 3


def test_workers_share_the_trials(search: Search) -> None:
    assert run_search(search, 3, 2).finished == 3


def test_two_commands_do_not_work_on_one_study(search: Search) -> None:
    """The second would take the trials of the first for left ones, and end them."""
    run_search(search, 1, 1)
    with worked_on(search.folder), pytest.raises(SearchRefused, match="--workers N runs trials"):
        run_search(search, 2, 1)
    assert run_search(search, 2, 1).finished == 2


def test_what_changes_nothing_is_not_varied(
    data: Path, teachers: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    space, study = tmp_path / "space.toml", tmp_path / "study"
    space.write_text(
        "[new_parameter_factor]\nlow = 1.0\nhigh = 9.0\n[learning_rate]\nchoices = [1e-3]\n"
    )
    words = ["search", "--data", str(data), "--study", str(study), "--space", str(space)]
    words += ["--begin-with", teachers[0], "--epochs", "1", "--trials", "1", "--no-tracking"]
    assert main([*words, "--threads", "1"]) == 0
    table = (study / "trials.csv").read_text().splitlines()
    assert table[0] == "trial,state,mean_f1,learning_rate"
    space.write_text("[new_parameter_factor]\nlow = 1.0\nhigh = 9.0\n")
    assert main(words) == 1
    assert "nothing that it varies has an effect here" in capsys.readouterr().err


def test_a_study_is_not_gone_on_with_another_space(search: Search) -> None:
    run_search(search, 1, 1)
    other = replace(search, space=SearchSpace((Choices("epochs", (1,)),)))
    with pytest.raises(SearchRefused, match=r"begun with another space.*--study"):
        run_search(other, 2, 1)
    with pytest.raises(SearchRefused, match="begun with another recipe"):
        run_search(replace(search, base=replace(search.base, seed=3)), 2, 1)
    train = search.data / _SET / "train.jsonl"
    content = train.read_text()
    train.write_text(content + content.replace("train-", "more-"))
    with pytest.raises(SearchRefused, match="begun with another data"):
        run_search(search, 2, 1)
    train.write_text(content)
    on_another_machine = replace(search, base=replace(search.base, threads=2))
    assert run_search(on_another_machine, 1, 1).finished == 1


def test_a_study_is_not_gone_on_with_when_labels_are_read_otherwise(search: Search) -> None:
    """The files of the splits are the same; what is said of their labels is not."""
    run_search(search, 1, 1)
    labels = {"PER": "PER", "ORG": "ORG", "LOC": "LOC", "MISC": None}
    label_map = {"to_conll4": {_SET: labels}}
    for path, content in (("label_map.json", label_map), (f"{_SET}/set.json", {"labels": labels})):
        before = (search.data / path).read_text()
        (search.data / path).write_text(json.dumps(content))
        with pytest.raises(SearchRefused, match=f"begun with another train split of {_SET}"):
            run_search(search, 2, 1)
        (search.data / path).write_text(before)
    assert run_search(search, 1, 1).finished == 1


def test_a_study_is_not_gone_on_with_other_weights_or_answers(
    search: Search, teachers: list[str], tmp_path: Path
) -> None:
    """The paths are the same; what lies there is not."""
    answers = tmp_path / "answers.safetensors"
    corpora = read_training_corpora(search.data, find_sets(search.data))
    ask(corpora, teachers, Question(64)).write(answers)
    base = Recipe(begin_with=teachers[0], answers=(str(answers),), batch_size=8, threads=1)
    search = replace(search, base=base)
    run_search(search, 1, 1)
    ask(corpora, teachers[1:], Question(64)).write(answers)
    with pytest.raises(SearchRefused, match="begun with another sha256 of the answers"):
        run_search(search, 2, 1)
    shutil.copy(Path(teachers[1]) / WEIGHTS_FILE, teachers[0])
    with pytest.raises(SearchRefused, match="another sha256 of the weights at the beginning"):
        run_search(search, 2, 1)


def test_a_trial_that_was_cut_off_does_not_count(search: Search) -> None:
    run_search(search, 1, 1)
    storage = RDBStorage(f"sqlite:///{search.folder / 'study.db'}")
    optuna.load_study(study_name="search", storage=storage).ask()
    storage.remove_session()
    storage.engine.dispose()
    assert run_search(search, 2, 1).finished == 2
    table = (search.folder / "trials.csv").read_text().splitlines()[1:]
    assert [row.split(",")[1] for row in table] == ["complete", "fail", "complete"]


def test_ctrl_c_says_how_to_go_on(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("training.search.fine_tune", interrupted)
        with pytest.raises(TrainingInterrupted, match="the same command goes on"):
            run_search(search, 1, 1)
    assert run_search(search, 1, 1).finished == 1


def test_the_best_trial_becomes_a_model_with_one_command(
    data: Path, encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study, run = tmp_path / "study", tmp_path / "run"
    space = tmp_path / "space.toml"
    space.write_text("[learning_rate]\nlow = 1e-3\nhigh = 1e-2\n[weight_decay]\nchoices = [0.02]\n")
    place = ["--data", str(data), "--threads", "1"]
    what = ["--study", str(study), "--space", str(space), "--trials", "2"]
    base = ["--encoder", str(encoder), "--epochs", "1"]
    assert main(["search", *place, *base, *what]) == 0
    output = capsys.readouterr().out
    assert "2 trials, 0 of them ended early; the best is" in output

    assert f"--from-study {study / 'best.json'}" in output
    train = ["fine-tune", *place, "--run", str(run), "--from-study", str(study / "best.json")]
    assert main(train) == 0
    command = load_record(run).command
    best = read_best(study).recipe
    assert f"--learning-rate {best.learning_rate} " in command
    assert "--weight-decay 0.02" in command

    database = sqlite3.connect(tmp_path / "mlflow.db")
    tracked = database.execute("SELECT step, value FROM metrics WHERE key = 'trial.mean_f1'")
    assert sorted(step for step, _ in tracked) == [0, 1]
    database.close()
    kept = {path.name for path in (tmp_path / "mlartifacts").glob("*/artifacts/search/*")}
    assert {"best.json", "trials.csv", "history.png", "history.html", "space.toml"} <= kept


def test_a_wrong_search_ends_without_a_stack_trace(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    space = tmp_path / "space.toml"
    space.write_text("[rate]\nlow = 1\nhigh = 2\n")
    assert main(["search", "--data", str(data), "--space", str(space)]) == 1
    assert capsys.readouterr().err.startswith(f"error: {space}: rate is no field")


def test_a_search_refuses_the_options_that_it_varies(
    data: Path, encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ["--data", str(data), "--study", str(tmp_path / "study"), "--no-tracking"]
    options = ["--encoder", str(encoder), "--epochs", "1", "--weight-decay", "0.1", "--trials", "1"]
    assert main(["search", *place, *options]) == 1
    assert capsys.readouterr().err == (
        f"error: {DEFAULT_SPACE}: varies what --epochs, --weight-decay would set: leave that out,"
        " or name a file without [epochs], [weight_decay] with --space\n"
    )
    assert not (tmp_path / "study").exists()


def report(epoch: int, mean_f1: float) -> EpochReport:
    return EpochReport(epoch, 10 * epoch, {"loss": 1.0, "mean_f1": mean_f1})


@pytest.fixture
def study() -> optuna.Study:
    """Four trials of two epochs, at 60 and then 80."""
    study = optuna.create_study(direction="maximize", pruner=new_pruner())
    for _ in range(4):
        trial = study.ask()
        reports = Reports(trial, Recipe(epochs=2))
        reports.take(report(1, 60))
        reports.take(report(2, 80))
        study.tell(trial, reports.value)
    return study


def test_a_trial_below_the_median_is_ended(study: optuna.Study) -> None:
    reports = Reports(study.ask(), Recipe(epochs=2))
    with pytest.raises(StopTraining):
        reports.take(report(1, 50))
    assert reports.pruned


def test_trials_of_different_lengths_are_compared_at_the_same_share(study: optuna.Study) -> None:
    """Epoch 2 of 4 is held against epoch 1 of 2, not against its end."""
    reports = Reports(study.ask(), Recipe(epochs=4))
    reports.take(report(1, 10))
    reports.take(report(2, 70))
    assert not reports.pruned
    later = Reports(study.ask(), Recipe(epochs=4))
    with pytest.raises(StopTraining):
        later.take(report(2, 59))


def test_a_trial_is_not_ended_by_one_that_happened_to_report_where_it_does(
    study: optuna.Study,
) -> None:
    """Of all before it one had five epochs."""
    other = study.ask()
    for epoch in range(1, 6):
        Reports(other, Recipe(epochs=5)).take(report(epoch, 60))
    study.tell(other, 60)
    reports = Reports(study.ask(), Recipe(epochs=5))
    for epoch, mean_f1 in enumerate((59.9, 59.9, 75, 80, 85), start=1):
        reports.take(report(epoch, mean_f1))
    assert (reports.pruned, reports.value) == (False, 85)


@pytest.mark.parametrize(
    ("epochs", "reported"),
    [
        (1, {100}),
        (2, {50, 100}),
        (3, {25, 50, 100}),
        (5, {25, 50, 75, 100}),
        (6, {25, 50, 75, 100}),
    ],
)
def test_trials_of_all_lengths_report_at_the_same_quarters(
    study: optuna.Study, epochs: int, reported: set[int]
) -> None:
    trial = study.ask()
    reports = Reports(trial, Recipe(epochs=epochs))
    for epoch in range(1, epochs + 1):
        reports.take(report(epoch, 70 + epoch))
    study.tell(trial, reports.value)
    assert study.trials[trial.number].intermediate_values.keys() == reported


def test_a_trial_is_not_ended_after_its_last_epoch(study: optuna.Study) -> None:
    reports = Reports(study.ask(), Recipe(epochs=2))
    reports.take(report(1, 70))
    reports.take(report(2, 10))
    assert (reports.pruned, reports.value) == (False, 10)


def test_with_patience_a_trial_is_worth_its_best_epoch(study: optuna.Study) -> None:
    """That is the one whose model is kept."""
    reports = Reports(study.ask(), Recipe(epochs=2, patience=1))
    reports.take(report(1, 85))
    reports.take(report(2, 82))
    assert reports.value == 85


def test_importance_is_plotted_from_two_different_trials_on(tmp_path: Path) -> None:
    study = optuna.create_study(direction="maximize")
    for learning_rate, value in ((1e-3, 50.0), (2e-3, 60.0), (3e-3, 55.0)):
        space: dict[str, BaseDistribution] = {"learning_rate": FloatDistribution(1e-4, 1e-2)}
        params = {"learning_rate": learning_rate}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=space, value=value))
    plots = list(write_plots(study, tmp_path))
    assert [plot.name for plot in plots] == [
        "history.png",
        "history.html",
        "plotly.min.js",
        "importance.png",
        "importance.html",
    ]
    assert all(plot.stat().st_size > 1_000 for plot in plots)
    assert plots[0].read_bytes().startswith(b"\x89PNG")
    assert "https://" not in plots[1].read_text()


def test_a_best_recipe_is_read_from_its_file_or_its_study(tmp_path: Path) -> None:
    best = BestRecipe(3, 81.5, Recipe(learning_rate=3e-4, bfloat16=True))
    path = write_best(best, tmp_path)
    assert read_best(path) == read_best(tmp_path) == best
    assert "threads" not in path.read_text()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "is no recipe of a search"),
        ('{"trial": 1, "mean_f1": 2}', "is no recipe of a search: 'recipe'"),
        ('{"trial": 1, "mean_f1": 2, "recipe": {"rate": 1}}', "unexpected keyword argument"),
        ('{"trial": 1, "mean_f1": 2, "recipe": {"epochs": "2"}}', "epochs is no int"),
    ],
)
def test_a_wrong_best_recipe_is_refused(tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / "best.json").write_text(content)
    with pytest.raises(BestRecipeInvalid, match=reason):
        read_best(tmp_path)


def test_a_missing_best_recipe_says_what_writes_it(tmp_path: Path) -> None:
    with pytest.raises(BestRecipeInvalid, match=r"No such file.*training search writes it"):
        read_best(tmp_path)
