"""Features: what a teacher's layers hold of tokens, kept with its answers, and learned from."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from tests.training.test_answers import LEARNED, TEXTS, corpus, said
from tests.training.test_mix import answer_of
from training.__main__ import main
from training.answer_mixing import mix
from training.answers import Answers, AnswersInvalid
from training.asking import Question, ask
from training.batches import collate, encode, epoch_batches
from training.checkpoint import load_cased
from training.data import LABELS, Corpus, join
from training.data_folder import find_sets, read_corpus
from training.features import FEATURES, FeatureLearning
from training.fine_tune import Recipe, Run, fine_tune
from training.learner import new_learner
from training.network import Network

WITH_FEATURES = Question(64, features=True)
WIDTH = len(LABELS) + FEATURES


@pytest.fixture
def corpora(data: Path) -> list[Corpus]:
    """What is learned."""
    return [read_corpus(data, source, "train") for source in find_sets(data, ["wnut17"])]


@pytest.fixture
def kept(corpora: list[Corpus], teachers: list[str], tmp_path: Path) -> Path:
    """A teacher's answers, with features, to all that is learned."""
    path = tmp_path / "answers"
    ask(corpora, teachers[:1], WITH_FEATURES).write(path)
    return path


@pytest.fixture
def recipe(encoder: Path, kept: Path) -> Recipe:
    """A student of features alone."""
    return Recipe(
        encoder=str(encoder),
        answers=(str(kept),),
        teachers_share=1.0,
        features_share=1.0,
        epochs=80,
        batch_size=8,
        learning_rate=3e-3,
        most_tokens=32,
        threads=1,
    )


def untold(run: Path, corpora: list[Corpus], tokenizer: Tokenizer) -> float:
    """What the best linear map from a student's last layer does not tell of features, [0, 1]."""
    network = load_cased(run)
    layers, features = [], []
    for example in corpora[0].examples:
        encoded = encode(example, tokenizer, 32)
        assert encoded.targets is not None
        ids = torch.tensor([encoded.ids])
        output = network(
            input_ids=ids, attention_mask=torch.ones_like(ids), output_hidden_states=True
        )
        layers.append(output.hidden_states[-1][0, 1:-1])
        features.append(torch.from_numpy(encoded.targets[1:-1, len(LABELS) :]).float())
    layer, wanted = torch.cat(layers).detach(), torch.cat(features)
    layer, wanted = layer - layer.mean(0), wanted - wanted.mean(0)
    # A ridge, or the 48 numbers of a layer tell the features of so few words by chance.
    gram = layer.T @ layer + 1e-2 * len(layer) * torch.eye(layer.shape[1])
    rest = wanted - layer @ torch.linalg.solve(gram, layer.T @ wanted)
    return float(rest.square().sum() / wanted.square().sum())


def test_answers_hold_the_directions_in_which_layers_vary_most(
    teachers: list[str], tokenizer: Tokenizer
) -> None:
    answers = ask([corpus(*TEXTS)], teachers[:1], WITH_FEATURES)
    rows = np.concatenate([answer_of(answers, text) for text in TEXTS]).astype(np.float64)
    assert rows.shape[1] == WIDTH
    labels = np.concatenate([said(teachers[:1], tokenizer, text) for text in TEXTS])
    np.testing.assert_allclose(rows[:, : len(LABELS)], labels, atol=1e-3)
    for first, last in ((len(LABELS), len(LABELS) + 128), (len(LABELS) + 128, WIDTH)):
        features = rows[:, first:last]
        np.testing.assert_allclose(np.square(features).mean(), 1, atol=0.01)
        np.testing.assert_allclose(features.mean(0), 0, atol=0.01)
        covariance = features.T @ features / len(features)
        np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=0.05)
        variances = np.diag(covariance)
        assert variances[0] == variances.max() > 2 * variances[8] > 0


def test_a_student_of_features_comes_near_to_them(
    recipe: Recipe, corpora: list[Corpus], tokenizer: Tokenizer, tmp_path: Path
) -> None:
    answered = Answers.load(Path(recipe.answers[0])).beside(corpora)
    rests = []
    for share in (0.0, 1.0):
        run = Run(tmp_path / f"student{share}", "train", None, state_steps=0)
        fine_tune(replace(recipe, features_share=share), corpora, [], run)
        rests.append(untold(run.folder, answered, tokenizer))
    assert rests[1] < 0.5 * rests[0]


def test_features_are_learned_at_first_and_labels_alone_at_last() -> None:
    learning = FeatureLearning(4, 0.3, 800, torch.device("cpu"))
    assert [learning.weight(step) for step in (0, 350, 700, 799)] == [0.3, 0.15, 0.0, 0.0]


def test_a_passage_of_sentences_with_and_without_features(
    teachers: list[str], tokenizer: Tokenizer
) -> None:
    plain, wide = TEXTS[:2]
    asked = ask([corpus(wide)], teachers[:1], WITH_FEATURES)
    answers = replace(
        asked, by_digest=ask([corpus(plain)], teachers, Question(64)).by_digest | asked.by_digest
    )
    first, second = answers.beside([corpus(plain, wide)])[0].examples
    words = len(tokenizer.encode(plain, add_special_tokens=False).ids)
    encoded = encode(join(first, second, " "), tokenizer, 64)
    assert encoded.targets is not None
    assert not encoded.targets[: 1 + words, len(LABELS) :].any()
    np.testing.assert_array_equal(encoded.targets[1 + words : -1], answer_of(answers, wide))
    together = collate([encode(first, tokenizer, 64), encoded]).targets
    assert together is not None
    assert together.shape[2] == WIDTH


def test_a_state_goes_on_to_the_same_weights(
    recipe: Recipe, corpora: list[Corpus], network: Network, tokenizer: Tokenizer
) -> None:
    answered = Answers.load(Path(recipe.answers[0])).beside(corpora)
    batches = epoch_batches(answered, tokenizer, recipe, 1)[:3]

    def learned(*, anew_each_step: bool) -> dict[str, torch.Tensor]:
        torch.manual_seed(5)
        learner = new_learner(copy.deepcopy(network), recipe, 200)
        for step, batch in enumerate(batches, 10):
            if anew_each_step:
                state = copy.deepcopy(learner.state_dict())
                learner = new_learner(copy.deepcopy(network), recipe, 200)
                learner.load_state_dict(state)
            torch.manual_seed(step)  # of the dropout
            learner.learn(batch, step)
        return dict(learner.network.state_dict())

    whole, resumed = learned(anew_each_step=False), learned(anew_each_step=True)
    for name, weights in whole.items():
        torch.testing.assert_close(resumed[name], weights, rtol=0, atol=0)


def test_a_mean_keeps_the_features_of_the_one_that_has_them(
    teachers: list[str], tmp_path: Path
) -> None:
    featured = ask([corpus(TEXTS[0])], teachers[:1], WITH_FEATURES)
    plain = ask([corpus(*TEXTS[:2])], teachers[1:], Question(64))
    mix([plain, featured], [1.0, 1.0]).write(tmp_path / "mixed")
    mixed = Answers.load(tmp_path / "mixed")
    assert mixed.features is not None
    assert featured.features is not None
    assert mixed.features.digest == featured.features.digest
    assert not answer_of(mixed, TEXTS[1])[:, len(LABELS) :].any()
    np.testing.assert_array_equal(
        answer_of(mixed, TEXTS[0])[:, len(LABELS) :],
        answer_of(featured, TEXTS[0])[:, len(LABELS) :],
    )
    with pytest.raises(AnswersInvalid, match="mix no two files that have them"):
        mix([featured, featured], [1.0, 1.0])


def test_features_that_mean_unlike_things_are_refused(teachers: list[str], tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    ask([corpus(TEXTS[0])], teachers[:1], WITH_FEATURES).write(one)
    ask([corpus(TEXTS[1])], teachers[:1], WITH_FEATURES).write(other)
    with pytest.raises(AnswersInvalid, match="features of several askings mean unlike things"):
        Answers.load(one, other)


def test_features_of_several_teachers_or_of_nothing_are_refused(teachers: list[str]) -> None:
    with pytest.raises(AnswersInvalid, match="features are of one teacher"):
        ask([corpus(*TEXTS)], teachers, WITH_FEATURES)
    with pytest.raises(AnswersInvalid, match="there is no text to take them from"):
        ask([corpus("", " ")], teachers[:1], WITH_FEATURES)


def test_a_student_of_features_that_are_not_there_is_refused(
    encoder: Path,
    data: Path,
    teachers: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ask([corpus(LEARNED)], teachers, Question(64)).write(tmp_path / "answers")
    command = ["fine-tune", "--data", str(data), "--encoder", str(encoder), "--no-tracking"]
    command += ["--run", str(tmp_path / "student"), "--features-share", "0.3"]
    command += ["--answers", str(tmp_path / "answers")]
    assert main(command) == 1
    assert "there are no features in --answers" in capsys.readouterr().err
