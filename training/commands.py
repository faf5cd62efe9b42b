"""What each command of `python -m training` does."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from inference.errors import ModelInvalid
from inference.runtime import Session
from training import batch_independence, document_agreement, gate, publication
from training.activations import training_rows
from training.checkpoint import load_cased, load_plain, load_record
from training.data import LABELS, Corpus, SourceSet
from training.data_folder import find_sets, read_dev_corpora, read_training_corpora
from training.error_report import error_report
from training.evaluation import find
from training.evaluation_report import (
    EvaluationReport,
    as_json,
    as_text,
    evaluation_report,
    measure_in_cases,
    measure_in_documents,
)
from training.export import Parity, check_parity, export
from training.passages import SEPARATORS
from training.quantization import quantize
from training.recognition import WINDOW_TOKENS, load_recognizer
from training.score_calibration import calibrate

FLOAT32_FILE = "float32.onnx"
INT8_FILE = "int8.onnx"
_WINDOWS_COMPARED = (64, 128, 256, 510)
_DOCUMENT_WORDS = 5_000
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
    sets: tuple[str, ...] = ()  # names; empty: whatever is there
    drop_duplicates: bool = False  # else they are refused

    @property
    def sources(self) -> list[SourceSet]:
        """The sets to use."""
        return find_sets(self.data, self.sets)

    @property
    def float32(self) -> Path:
        """The exported file."""
        return self.run / FLOAT32_FILE

    @property
    def int8(self) -> Path:
        """The quantized file."""
        return self.run / INT8_FILE


def run_calibrate(place: Workplace, shift: float | None = None) -> None:
    """Calibrates the checkpoint on the dev splits.

    Args:
        place: has the checkpoint and the sets.
        shift: of O, in place of the one that the sets tell.
    """
    print(calibrate(place.run, dev_corpora(place), shift))


def run_export(place: Workplace) -> Parity:
    """Writes the float32 file and compares it with the checkpoint on dev sentences."""
    export(load_cased(place.run), place.float32)
    recognizer = load_recognizer(place.float32, WINDOW_TOKENS, place.threads)
    examples = dev_corpora(place)[0].examples[:_PARITY_TEXTS]
    tokenized = [recognizer.tokenizer.tokenize(example.text) for example in examples]
    rows = [window.ids for text in tokenized for window in text.windows]
    parity = check_parity(load_plain(place.run), recognizer.scorer, rows)
    print(
        f"{place.float32}: logits within {parity.largest_difference:.1e} of the checkpoint's"
        f" over {parity.tokens} tokens"
    )
    return parity


def run_quantize(place: Workplace) -> None:
    """Writes the int8 file; sentences of the train splits fix its scales."""
    recognizer = load_recognizer(place.float32, WINDOW_TOKENS, place.threads)
    # Sentences that are also measured are left out, whatever training did with them.
    trained = read_training_corpora(place.data, place.sources, drop_duplicates=True)
    quantize(place.float32, place.int8, training_rows(recognizer, trained), place.threads)
    print(f"{place.int8}: {place.int8.stat().st_size / 1e6:.1f} MB")


def run_evaluate(
    place: Workplace,
    model: Path,
    json_file: Path | None = None,
    page: Path | None = None,
    *,
    in_cases: bool = False,
    in_documents: bool = False,
) -> EvaluationReport:
    """Prints the quality of a file on every dev split.

    Args:
        place: where the data is.
        model: an ONNX file, its tokenizer and configuration beside it.
        json_file: gets the figures.
        page: gets the sentences that went wrong, as HTML.
        in_cases: measure the same texts in small letters, in capitals and capitalized as well.
        in_documents: measure whole documents as well, of the sets that say where one begins.
    """
    recognizer = load_recognizer(model, WINDOW_TOKENS, place.threads)
    corpora = dev_corpora(place)
    findings = [find(recognizer, corpus) for corpus in corpora]
    cases = measure_in_cases(recognizer, corpora) if in_cases else None
    documents = measure_in_documents(recognizer, corpora) if in_documents else None
    report = evaluation_report(str(model), findings, cases, documents)
    print(as_text(report))
    if json_file:
        json_file.write_text(as_json(report), "utf-8")
    if page:
        page.write_text(error_report(str(model), findings), "utf-8")
    return report


def run_batch_independence(place: Workplace) -> None:
    """Prints how answers change between alone and batched, for three forms of the model."""
    texts = batch_independence.sample_texts(dev_corpora(place), _INDEPENDENCE_TEXTS)
    print(f"{len(texts)} texts, alone and in mixed batches of {_INDEPENDENCE_BATCH}")
    print("form                    changed  largest score difference")
    recognizer = load_recognizer(place.int8, WINDOW_TOKENS, place.threads)
    with TemporaryDirectory() as folder:
        ordinary = Path(folder) / INT8_FILE
        batch_independence.quantize_ordinarily(place.float32, ordinary)
        for name, path in (
            ("float32", place.float32),
            ("int8, scale per batch", ordinary),
            ("int8, as it ships", place.int8),
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
    sentences = [e.text for e in dev_corpora(place)[0].examples]
    document = document_agreement.document_of(sentences, _DOCUMENT_WORDS)
    print("window  words  between  precision  recall      F1")
    loaded = (load_recognizer(model, tokens, place.threads) for tokens in _WINDOWS_COMPARED)
    # All the same where the model says what it reads.
    for window_tokens, recognizer in {r.tokenizer.window_tokens: r for r in loaded}.items():
        for name, separator in SEPARATORS.items():
            a = document_agreement.measure_agreement(recognizer, document, separator)
            q = a.quality
            figures = f"{q.precision:10.2f} {q.recall:7.2f} {q.f1:7.2f}"
            print(f"{window_tokens:6} {a.words:6}  {name:<7} {figures}")


def run_publish(
    place: Workplace,
    name: str,
    version: str | None,
    *,
    replace_version: bool,
    largest_loss: float = gate.LARGEST_LOSS,
    quantized: Path | None = None,
) -> None:
    """Measures both files and writes the version folder.

    Args:
        place: where the files are.
        name: the model's.
        version: the model's; None: the next number.
        replace_version: overwrite a version that exists.
        largest_loss: of F1 that quantization may cost.
        quantized: the int8 file; None: one is made.

    Raises:
        ModelInvalid: there is no such file.
        PublicationRefused: the version exists, or the model finds too little.
        GateRefused: quantization lost more than `largest_loss`.
    """
    if quantized and not quantized.is_file():
        raise ModelInvalid(f"{quantized}: no such file: --quantized names an int8 file")
    publication.check_vacant_version(place.models, name, version, replace=replace_version)
    parity = run_export(place)
    if quantized:
        if quantized.resolve() != place.int8.resolve():
            shutil.copyfile(quantized, place.int8)
    else:
        run_quantize(place)
    folder = publication.publish(
        publication.Candidate(
            name=name,
            version=version or publication.next_version(place.models, name),
            checkpoint=place.run,
            model=place.int8,
            record=load_record(place.run),
            quality=run_evaluate(place, place.int8, in_cases=True, in_documents=True),
            float32_quality=run_evaluate(place, place.float32),
            logit_difference=parity.largest_difference,
        ),
        place.models,
        replace=replace_version,
        largest_loss=largest_loss,
    )
    print(f"published {folder}")


def dev_corpora(place: Workplace) -> list[Corpus]:
    """The dev split of each set that labels something."""
    return read_dev_corpora(place.data, place.sources)
