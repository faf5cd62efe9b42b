"""The model card: what a manifest says of a model, for people to read."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from training.data import ENTITY_TYPES
from training.data_folder import ENGLISH_SETS

_TITLES = {source.name: source.title for source in ENGLISH_SETS}
# What a reader of the figures should know of a set.
_NOTES = {
    "wnut17": "holds rare and new names on purpose: low figures are usual there.",
    "btc": "is social media with noisy labels: low figures are usual there.",
    "tweebank_ner": "is social media with noisy labels: low figures are usual there.",
}
_TYPE_NAMES = {
    "PER": "people (PER)",
    "ORG": "organisations (ORG)",
    "LOC": "places (LOC)",
    "MISC": "other names (MISC)",
}

_CARD = """# {name} {version}

Finds names of {types}. A BERT token classifier, fine-tuned from {encoder} ({encoder_licence}),
quantized to int8. It keeps case: each piece of the encoder's uncased vocabulary has its Title and
UPPER spelling. A sign (@ or #) with white space after it is another token than one that is joined
to its word.{windows}

Every figure below stands in `manifest.json` beside this card. DIR is the folder of the data sets.

## Intended use

Tagging names in text like that of the sets below, on ordinary CPUs. A person should check the
result wherever it decides something about people: the model misses names and makes names up, as the
tables say.

## Quality

On the dev splits. A span counts where both its ends and its type are right. What is found of a type
that a set does not annotate, or on a mention whose label has no counterpart here, counts neither
way. Printed by

    {evaluate}

| set | precision | recall | F1 | F1 before quantization | spans |
|---|---|---|---|---|---|
{quality}

{restored}F1 before quantization is printed by `python -m training evaluate --data DIR --model
RUN/float32.onnx`, after `python -m training export --data DIR --run RUN`, which also prints how far
the logits of that file are from the checkpoint's: {logit_difference:.1e} at most.

F1 for each type, printed by the first command:

| set | {type_header} | macro |
|---|{type_line}---|
{by_type}

{notes}
{cases}{documents}
## Scores

Over the entities of all these sets together, printed by the same command. The expected calibration
error, the mean distance of an entity's score from the share of entities that are right at that
score, is {expected_error:.3f}.{temperature} Asking the service for a `min_score` gives

| min_score | precision | recall | F1 |
|---|---|---|---|
{thresholds}

## Training data

| set | licence | sentences | commit | sha256 of its train file |
|---|---|---|---|---|
{data}

Each sha256 is what `sha256sum` prints of the file that the set's train split was read from.
Sentences that also stand in a dev split of the sets that were learned from were left out of
training. {unlabelled}Trained by

    {command}

{epochs}, {steps:,} steps, batches of {batch_size}, AdamW with learning rate
{learning_rate:g}, seed {seed}, matrix products in {precision}, {duration_s:,.0f} s.{origin}

## Limits

- It knows the languages and the kinds of text of these sets; others give names by luck.
- MISC means something else in each set that annotates it.
- Names in small letters are missed more often than capitalised ones.
- Names from regions and cultures that the sets hold few of are found less often.
- Names newer than the sets are known by their context alone.

## Licence

The model: {licence}.{share_alike} Whoever passes the model on keeps this card or its attribution of
the sets above. The code around it is Apache-2.0.
"""
_IN_CASES = """
F1 of the same texts without regard to case, printed by

    {evaluate} --cases

| set | as it is | small letters | CAPITALS | Every Word |
|---|---|---|---|---|
{rows}
"""
_IN_DOCUMENTS = """
F1 of whole documents, each as one text, a sentence a line, printed by

    {evaluate} --documents

| set | sentences | documents |
|---|---|---|
{rows}
"""
_SHARE_ALIKE = """ Sets under a share-alike licence pass it on to adaptations, and a model
is treated as one."""


def model_card(manifest: Mapping[str, Any]) -> str:
    """The text of `MODEL_CARD.md`.

    Args:
        manifest: as `training.publication` writes it; its "files" are not needed.
    """
    name, version = manifest["name"], manifest["version"]
    training = manifest["training"]
    return _CARD.format(
        name=name,
        version=version,
        types=_listed([_TYPE_NAMES[kind] for kind in ENTITY_TYPES]),
        encoder=manifest["source"]["checkpoint"],
        encoder_licence=manifest["source"]["licence"],
        windows=_windows(manifest.get("passage_tokens", 0)),
        evaluate=_evaluate_command(manifest),
        quality="\n".join(_quality_rows(manifest)),
        logit_difference=manifest["largest_logit_difference"],
        type_header=" | ".join(ENTITY_TYPES),
        type_line="---|" * len(ENTITY_TYPES),
        by_type="\n".join(_type_row(s, q) for s, q in manifest["quality"].items()),
        notes=" ".join(f"{s} {_NOTES[s]}" for s in manifest["quality"] if s in _NOTES),
        cases=_cases(manifest),
        documents=_documents(manifest),
        expected_error=manifest["calibration"]["expected_error"],
        thresholds="\n".join(_threshold_rows(manifest)),
        data="\n".join(_data_row(entry) for entry in manifest["data"]),
        unlabelled=_unlabelled(manifest),
        epochs="1 epoch" if training["epochs"] == 1 else f"{training['epochs']} epochs",
        **{key: training[key] for key in _TRAINING_KEYS},
        restored=_restored(training.get("restored_from", "")),
        temperature=_temperature(training),
        origin=_origin(training),
        licence=manifest["licence"],
        share_alike=_SHARE_ALIKE if "-SA-" in manifest["licence"] else "",
    )


_TRAINING_KEYS = (
    "command",
    "steps",
    "batch_size",
    "learning_rate",
    "seed",
    "precision",
    "duration_s",
)


def _windows(passage_tokens: int) -> str:
    if not passage_tokens:
        return ""
    return (
        f" A long text is read in windows of {passage_tokens} tokens, of as many whole sentences as"
        "\nfit."
    )


def _quality_rows(manifest: Mapping[str, Any]) -> Iterator[str]:
    float32 = manifest["fp32_quality"]
    for name, q in manifest["quality"].items():
        yield _row(name, q["precision"], q["recall"], q["f1"], float32[name]["f1"], q["support"])
    mean, float32_mean = manifest["mean_quality"], manifest["fp32_mean_quality"]
    figures = (mean["precision"], mean["recall"], mean["f1"], float32_mean["f1"])
    yield _row("mean of the sets", *figures, mean["support"])


def _type_row(name: str, measured: Mapping[str, Any]) -> str:
    types = measured["types"]
    figures = [types[kind]["f1"] if kind in types else "" for kind in ENTITY_TYPES]
    return _row(name, *figures, measured["macro"]["f1"])


def _cases(manifest: Mapping[str, Any]) -> str:
    """How the model reads texts in other cases; nothing where that was not measured."""
    by_case = manifest.get("f1_in_cases")
    if not by_case:
        return ""
    columns = [{name: q["f1"] for name, q in manifest["quality"].items()}, *by_case.values()]
    rows = [_row(name, *(f1[name] for f1 in columns)) for name in manifest["quality"]]
    rows.append(_row("mean of the sets", *(fmean(f1.values()) for f1 in columns)))
    return _IN_CASES.format(evaluate=_evaluate_command(manifest), rows="\n".join(rows))


def _documents(manifest: Mapping[str, Any]) -> str:
    """How the model reads whole documents; nothing where that was not measured."""
    measured = manifest.get("f1_in_documents")
    if not measured:
        return ""
    rows = [_row(name, manifest["quality"][name]["f1"], f1) for name, f1 in measured.items()]
    return _IN_DOCUMENTS.format(evaluate=_evaluate_command(manifest), rows="\n".join(rows))


def _evaluate_command(manifest: Mapping[str, Any]) -> str:
    model = f"models/{manifest['name']}/{manifest['version']}/model.onnx"
    return f"python -m training evaluate --data DIR --model {model}"


def _threshold_rows(manifest: Mapping[str, Any]) -> Iterator[str]:
    for entry in manifest["calibration"]["thresholds"]:
        q = entry["quality"]
        yield _row(f"{entry['min_score']:.2f}", q["precision"], q["recall"], q["f1"])


def _data_row(entry: Mapping[str, Any]) -> str:
    # Records of before 2026-11-28 have no titles.
    title = entry.get("title") or _TITLES.get(entry["set"], entry["set"])
    name = entry["set"] if title == entry["set"] else f"{title} ({entry['set']})"
    revision = entry.get("revision") or ""
    commit = f"`{revision}`" if revision else "none"
    return _row(name, entry["licence"], entry["examples"], commit, f"`{entry['sha256']}`")


def _unlabelled(manifest: Mapping[str, Any]) -> str:
    """A sentence on each type that some of the sets leave out."""
    sentences = ""
    for kind in ENTITY_TYPES:
        without = [s for s, q in manifest["quality"].items() if kind not in q["types"]]
        if without:
            verb = "does" if len(without) == 1 else "do"
            sentences += (
                f"{_listed(without)} {verb} not annotate {kind}: where the label there is O, the "
                f'model was taught\n"O or {kind}", not "O". '
            )
    return sentences


def _restored(version: str) -> str:
    if not version:
        return ""
    return (
        f"The weights are those of the int8 file of {version}, restored by\n"
        "`python -m training restore`: before quantization they are those numbers in float32, not"
        "\nwhat training ended in. "
    )


def _temperature(training: Mapping[str, Any]) -> str:
    temperature, shift = training.get("temperature", 1.0), training.get("outside_shift", 0.0)
    text = ""
    if temperature != 1.0 or shift:
        shifted = f" after\n{shift:g} was added to that of O" if shift else ""
        text = (
            f" The logits are divided by\n{temperature:g}{shifted}, which `fine-tune` found on"
            " these same splits, so that on other text it will be larger."
        )
    if training.get("min_score"):
        text += (
            f" Where a caller asks for no\n`min_score`, entities that score"
            f" {training['min_score']:g} at least are returned, which was found there as well."
        )
    if training.get("label_consistency"):
        text += (
            "\nThe occurrences of a word in a text speak for each other by"
            f" {training['label_consistency']:g}, found on whole\ndocuments of these splits: there"
            " such words score higher than in the sentences that the\ntable is of."
        )
    return text


def _origin(training: Mapping[str, Any]) -> str:
    """Of what the model was made beside its data, a paragraph each."""
    begun_with = training.get("begun_with")
    made_of = {
        "That is the first of the runs whose weights it is the mean of:": training.get("averaged"),
        "It began with a model that was trained by": [begun_with] if begun_with else [],
        "Beside the annotation it learned the mean of its teachers, trained by": training.get(
            "teachers"
        ),
    }
    return "".join(
        f"\n\n{words}\n\n{_commands(commands)}" for words, commands in made_of.items() if commands
    )


def _commands(commands: Sequence[str]) -> str:
    return "\n".join(f"    {command}" for command in commands)


def _row(*cells: str | float) -> str:
    """A line of a table: percentages with one decimal, counts with thousands."""
    shown = (
        cell if isinstance(cell, str) else f"{cell:,}" if isinstance(cell, int) else f"{cell:.1f}"
        for cell in cells
    )
    return f"| {' | '.join(shown)} |"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
