"""What each command of `python -m training` does."""

import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from inference.runtime import Session
from training import batch_independence, document_agreement, publication
from training.checkpoint import load_cased, load_plain, load_record
from training.data import ENGLISH_SETS, LABELS, Corpus, read_corpus, read_training_corpora
from training.evaluation import Quality, evaluate
from training.export import Parity, check_parity, export
from training.fine_tune import Provenance, Recipe, fine_tune
from training.quantization import quantize
from training.recognition import load_recognizer

FLOAT32_FILE = "float32.onnx"
INT8_FILE = "int8.onnx"
# The longest window of the service; sentences are shorter.
WINDOW_TOKENS = 256
_WINDOWS_COMPARED = (64, 128, 256, 510)
_DOCUMENT_WORDS = 5_000
_SEPARATORS = (("space", " "), ("line", "\n"))
_INDEPENDENCE_TEXTS = 500
_INDEPENDENCE_BATCH = 32
_PARITY_TEXTS = 64


@dataclass(frozen=True, slots=True)
class Workplace:
    """Where a command finds and leaves its files."""

    data: Path  # folder of the labelled sets
    run: Path  # folder of the checkpoint and of what is made of it
    models: Path  # the model repository
    threads: int

    @property
    def float32(self) -> Path:
        """The exported file."""
        return self.run / FLOAT32_FILE

    @property
    def int8(self) -> Path:
        """The quantized file."""
        return self.run / INT8_FILE


def run_fine_tune(place: Workplace, recipe: Recipe, command: str) -> None:
    """Trains a checkpoint.

    Args:
        place: gets the checkpoint in `run`.
        recipe: the settings.
        command: stands in the checkpoint's record.
    """
    fine_tune(
        replace(recipe, threads=place.threads),
        read_training_corpora(place.data, ENGLISH_SETS),
        dev_corpora(place.data),
        place.run,
        Provenance(command, _commit()),
    )


def run_export(place: Workplace) -> Parity:
    """Writes the float32 file and compares it with the checkpoint on dev sentences."""
    export(load_cased(place.run), place.float32)
    recognizer = load_recognizer(place.float32, WINDOW_TOKENS, place.threads)
    examples = read_corpus(place.data, ENGLISH_SETS[0], "dev").examples[:_PARITY_TEXTS]
    tokenized = [recognizer.tokenizer.tokenize(example.text) for example in examples]
    rows = [window.ids for text in tokenized for window in text.windows]
    parity = check_parity(load_plain(place.run), recognizer.scorer, rows)
    print(
        f"{place.float32}: logits within {parity.largest_difference:.1e} of the checkpoint's"
        f" over {parity.tokens} tokens"
    )
    return parity


def run_quantize(place: Workplace) -> None:
    """Writes the int8 file."""
    quantize(place.float32, place.int8)
    print(f"{place.int8}: {place.int8.stat().st_size / 1e6:.1f} MB")


def run_evaluate(place: Workplace, model: Path) -> dict[str, Quality]:
    """Prints the quality of a file on every dev split.

    Args:
        place: where the data is.
        model: an ONNX file, its tokenizer and configuration beside it.
    """
    recognizer = load_recognizer(model, WINDOW_TOKENS, place.threads)
    qualities = {c.source.name: evaluate(recognizer, c) for c in dev_corpora(place.data)}
    print(f"{model}\n{'set':<14} precision  recall      F1")
    for name, q in qualities.items():
        print(f"{name:<14} {q.precision:9.2f} {q.recall:7.2f} {q.f1:7.2f}")
    return qualities


def run_batch_independence(place: Workplace) -> None:
    """Prints how answers change between alone and batched, for three forms of the model."""
    texts = batch_independence.sample_texts(dev_corpora(place.data), _INDEPENDENCE_TEXTS)
    print(f"{len(texts)} texts, alone and in mixed batches of {_INDEPENDENCE_BATCH}")
    print("form                    changed  largest score difference")
    recognizer = load_recognizer(place.int8, WINDOW_TOKENS, place.threads)
    with TemporaryDirectory() as folder:
        ordinary = Path(folder) / INT8_FILE
        batch_independence.quantize_ordinarily(place.float32, ordinary)
        for name, path in (
            ("float32", place.float32),
            ("int8, scale per batch", ordinary),
            ("int8, scale per token", place.int8),
        ):
            session = Session.load(path, place.threads, len(LABELS))
            measured = batch_independence.measure_independence(
                replace(recognizer, scorer=session), texts, _INDEPENDENCE_BATCH
            )
            print(f"{name:<23} {measured.changed:7}  {measured.largest_score_difference:.1e}")


def run_document_agreement(place: Workplace, model: Path) -> None:
    """Prints how like a document's entities are to its sentences', for several windows.

    Args:
        place: where the data is.
        model: an ONNX file, its tokenizer and configuration beside it.
    """
    sentences = [e.text for e in read_corpus(place.data, ENGLISH_SETS[0], "dev").examples]
    document = document_agreement.document_of(sentences, _DOCUMENT_WORDS)
    print("window  words  between  precision  recall      F1")
    for window_tokens in _WINDOWS_COMPARED:
        recognizer = load_recognizer(model, window_tokens, place.threads)
        for name, separator in _SEPARATORS:
            a = document_agreement.measure_agreement(recognizer, document, separator)
            q = a.quality
            figures = f"{q.precision:10.2f} {q.recall:7.2f} {q.f1:7.2f}"
            print(f"{window_tokens:6} {a.words:6}  {name:<7} {figures}")


def run_publish(place: Workplace, name: str, version: str, *, replace_version: bool) -> None:
    """Measures both files and writes the version folder.

    Args:
        place: where the files are.
        name: the model's.
        version: the model's; empty: the next number.
        replace_version: overwrite a version that exists.
    """
    parity = run_export(place)
    run_quantize(place)
    folder = publication.publish(
        publication.Candidate(
            name=name,
            version=version or publication.next_version(place.models, name),
            checkpoint=place.run,
            model=place.int8,
            record=load_record(place.run),
            quality=run_evaluate(place, place.int8),
            float32_quality=run_evaluate(place, place.float32),
            logit_difference=parity.largest_difference,
        ),
        place.models,
        replace=replace_version,
    )
    print(f"published {folder}")


def dev_corpora(data: Path) -> list[Corpus]:
    """The dev split of each set."""
    return [read_corpus(data, source, "dev") for source in ENGLISH_SETS]


def _commit() -> str | None:
    """The commit of this package's code, where git knows one that is just this code."""
    folder = Path(__file__).parent
    git = shutil.which("git")
    if git is None:
        return None
    try:
        changed = _output(git, "status", "--porcelain", "--", str(folder), folder=folder)
        return None if changed else _output(git, "rev-parse", "HEAD", folder=folder)
    except subprocess.CalledProcessError:
        return None


def _output(*command: str, folder: Path) -> str:
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)  # noqa: S603 - constant arguments
    return run.stdout.strip()
