"""What the card says of a manifest."""

import re
from typing import Any

import pytest

from training.command_line import parser
from training.model_card import model_card


def figures(f1: float, support: int = 1_234) -> dict[str, Any]:
    return {"precision": f1 + 1, "recall": f1 - 1, "f1": f1, "support": support}


@pytest.fixture
def manifest() -> dict[str, Any]:
    types = {"PER": figures(91.0), "ORG": figures(71.0), "LOC": figures(81.0)}
    return {
        "name": "ner-en",
        "version": "3",
        "licence": "CC-BY-SA-4.0",
        "source": {"checkpoint": "someone/encoder", "licence": "Apache-2.0"},
        "data": [
            {
                "set": "uner_en_ewt",
                "licence": "CC-BY-SA-4.0",
                "sha256": "1" * 64,
                "examples": 12_000,
                "revision": "c0ffee",
            },
            {"set": "mine", "licence": "CC0-1.0", "sha256": "2" * 64, "examples": 50},
        ],
        "training": {
            "command": "python -m training fine-tune --data DIR --seed 1",
            "seed": 1,
            "epochs": 2,
            "learning_rate": 1e-4,
            "batch_size": 32,
            "precision": "float32",
            "steps": 1_904,
            "duration_s": 893.1,
        },
        "largest_logit_difference": 8.4e-6,
        "mean_quality": figures(74.0, 2_000),
        "fp32_mean_quality": figures(74.1, 2_000),
        "quality": {
            "uner_en_ewt": {**figures(77.0), "macro": figures(81.2), "types": types},
            "wnut17": {
                **figures(67.4),
                "macro": figures(66.6),
                "types": {**types, "MISC": figures(33.3)},
            },
        },
        "fp32_quality": {"uner_en_ewt": figures(77.2), "wnut17": figures(67.5)},
        "calibration": {
            "expected_error": 0.0312,
            "thresholds": [{"min_score": 0.5, "quality": figures(75.5)}],
        },
    }


def test_every_figure_of_the_manifest_is_in_a_table(manifest: dict[str, Any]) -> None:
    card = model_card(manifest)
    for line in (
        "| uner_en_ewt | 78.0 | 76.0 | 77.0 | 77.2 | 1,234 |",
        "| mean of the sets | 75.0 | 73.0 | 74.0 | 74.1 | 2,000 |",
        "| uner_en_ewt | 91.0 | 71.0 | 81.0 |  | 81.2 |",
        "| wnut17 | 91.0 | 71.0 | 81.0 | 33.3 | 66.6 |",
        "| 0.50 | 76.5 | 74.5 | 75.5 |",
        f"| Universal NER, English EWT (uner_en_ewt) | CC-BY-SA-4.0 | 12,000 | `c0ffee` "
        f"| `{'1' * 64}` |",
        f"| mine | CC0-1.0 | 50 | none | `{'2' * 64}` |",
    ):
        assert line in card.splitlines()
    assert "is 0.031." in card
    assert "8.4e-06 at most" in card


def test_it_has_a_table_of_other_cases_where_they_were_measured(manifest: dict[str, Any]) -> None:
    assert "CAPITALS" not in model_card(manifest)
    manifest["f1_in_cases"] = {
        case: {"uner_en_ewt": f1, "wnut17": f1 - 10}
        for case, f1 in (("lower", 70.0), ("upper", 68.0), ("capitalized", 69.0))
    }
    card = model_card(manifest)
    for line in (
        "    python -m training evaluate --data DIR --model models/ner-en/3/model.onnx --cases",
        "| uner_en_ewt | 77.0 | 70.0 | 68.0 | 69.0 |",
        "| mean of the sets | 72.2 | 65.0 | 63.0 | 64.0 |",
    ):
        assert line in card.splitlines()


def test_it_has_a_table_of_documents_where_they_were_measured(manifest: dict[str, Any]) -> None:
    assert "documents" not in model_card(manifest)
    card = model_card(manifest | {"f1_in_documents": {"uner_en_ewt": 79.5}})
    for line in (
        "    python -m training evaluate --data DIR --model models/ner-en/3/model.onnx --documents",
        "| uner_en_ewt | 77.0 | 79.5 |",
    ):
        assert line in card.splitlines()


def test_it_says_how_a_long_text_is_read_where_that_is_in_passages(
    manifest: dict[str, Any],
) -> None:
    assert "windows" not in model_card(manifest | {"passage_tokens": 0})
    assert "windows of 256 tokens" in model_card(manifest | {"passage_tokens": 256})


def test_it_says_how_far_occurrences_speak_for_each_other(manifest: dict[str, Any]) -> None:
    for consistency in (0.0, None):
        manifest["training"]["label_consistency"] = consistency
        assert "occurrences" not in model_card(manifest)
    manifest["training"]["label_consistency"] = 0.5
    assert "speak for each other by 0.5," in model_card(manifest)


def test_it_says_of_what_the_model_was_made(manifest: dict[str, Any]) -> None:
    plain = model_card(manifest)
    assert "It began with" not in plain
    assert "teachers" not in plain
    manifest["training"] |= {
        "averaged": ["train one", "train two"],
        "begun_with": "train parent",
        "teachers": ["train teacher"],
    }
    manifest["data"][1]["title"] = "Our news"
    card = model_card(manifest)
    for paragraph in (
        "the runs whose weights it is the mean of:\n\n    train one\n    train two\n\n",
        "It began with a model that was trained by\n\n    train parent\n\n",
        "the mean of its teachers, trained by\n\n    train teacher\n\n",
        "| Our news (mine) | CC0-1.0 |",
    ):
        assert paragraph in card


def test_every_command_of_the_card_is_one_of_the_command_line(manifest: dict[str, Any]) -> None:
    """A figure's command must not rot: each is parsed."""
    card = " ".join(model_card(manifest).split())
    commands = re.findall(r"python -m training ([a-z-]+)((?: --[a-z-]+ [A-Za-z0-9/._-]+)*)", card)
    assert {name for name, _ in commands} == {"evaluate", "export", "fine-tune"}
    for name, options in commands:
        parser().parse_args([name, *options.split()])


def test_what_a_set_leaves_out_is_said(manifest: dict[str, Any]) -> None:
    assert "uner_en_ewt does not annotate MISC" in model_card(manifest)
    manifest["quality"]["uner_en_ewt"]["types"]["MISC"] = figures(1.0)
    assert "not annotate MISC" not in model_card(manifest)


def test_only_a_share_alike_model_speaks_of_share_alike(manifest: dict[str, Any]) -> None:
    assert "share-alike" in model_card(manifest)
    assert "share-alike" not in model_card(manifest | {"licence": "CC0-1.0"})


def test_the_card_has_no_hole(manifest: dict[str, Any]) -> None:
    card = model_card(manifest)
    assert "{" not in card
    assert "None" not in card
    assert max(map(len, card.splitlines())) < 200
