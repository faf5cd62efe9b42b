"""The model card: what a model is for, what it learned from and how good it is."""

from collections.abc import Mapping

from training.checkpoint import TrainedOn, TrainingRecord
from training.data import ENGLISH_SETS
from training.evaluation import Quality

_TITLES = {source.name: source.title for source in ENGLISH_SETS}

_CARD = """# {name} {version}

Finds names of people (PER), organisations (ORG), places (LOC) and other names (MISC) in English
text. A BERT token classifier with 6 layers of 384, fine-tuned from {encoder}
({encoder_licence}), quantized to int8. It keeps case: each piece of the encoder's uncased
vocabulary has its Title and UPPER spelling.

## Intended use

Tagging names in English web text, encyclopaedias and social media on ordinary CPUs. A person should
check the result wherever it decides something about people: the model misses names and makes names
up, as the table says.

## Quality

Entity F1 on the dev splits for PER, ORG and LOC: a span counts where both its ends and its type are
right. None of these sentences was trained on. Printed by

    python -m training evaluate --data DIR --model models/{name}/{version}/model.onnx

| set | precision | recall | F1 | F1 before quantization |
|---|---|---|---|---|
{quality}

wnut17 holds rare and new names on purpose; btc and tweebank_ner are social media with noisy labels:
low figures are usual there. The dev splits chose nothing but the recipe's settings, by a few runs.

## Training data

| set | licence | sentences | sha256 of its train file |
|---|---|---|---|
{data}

UNER and the Broad Twitter Corpus do not annotate MISC. Where their label is O the model was taught
"O or MISC", not "O". Sentences that also stand in a dev split were left out of training.
Settings: {epochs} epochs, {steps:,} steps, batches of {batch_size}, AdamW with learning rate
{learning_rate:g}, seed {seed}, matrix products in {precision}.

## Limits

- English only. Other languages and scripts give names by luck.
- MISC was learned from four small sets that mean different things by it; it is not in the table.
- Lower-case names are missed more often than capitalised ones.
- Names from regions and cultures that the sets hold few of are found less often.
- The text is of 2000 to 2017: newer names are known by their context alone.

## Licence

The model: CC BY-SA 4.0, because UNER English-EWT is CC BY-SA 4.0 and the text of CrossNER is
Wikipedia's (CC BY-SA 3.0): share-alike passes on to adaptations. Whoever passes the model on keeps
this card or its attribution of the sets above. The code around it is Apache-2.0.
"""


def model_card(
    name: str,
    version: str,
    record: TrainingRecord,
    quality: Mapping[str, Quality],
    float32_quality: Mapping[str, Quality],
) -> str:
    """The text of `MODEL_CARD.md`.

    Args:
        name: the model's.
        version: the model's.
        record: how it was trained.
        quality: of the int8 file, by set.
        float32_quality: of the float32 file, for the same sets.
    """
    return _CARD.format(
        name=name,
        version=version,
        encoder=record.encoder,
        encoder_licence=record.encoder_licence,
        quality="\n".join(_quality_row(s, q, float32_quality[s]) for s, q in quality.items()),
        data="\n".join(_data_row(trained_on) for trained_on in record.data),
        epochs=record.epochs,
        steps=record.steps,
        batch_size=record.batch_size,
        learning_rate=record.learning_rate,
        seed=record.seed,
        precision=record.precision,
    )


def _quality_row(name: str, measured: Quality, float32: Quality) -> str:
    figures = (measured.precision, measured.recall, measured.f1, float32.f1)
    return f"| {name} | " + " | ".join(f"{figure:.1f}" for figure in figures) + " |"


def _data_row(source: TrainedOn) -> str:
    title = _TITLES.get(source.set, source.set)
    return (
        f"| {title} ({source.set}) | {source.licence} | {source.examples:,} | `{source.sha256}` |"
    )
