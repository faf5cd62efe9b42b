"""The command `unsure`: the texts of bare sets that a model is least sure of, as sets."""

import argparse

from training.commands import Workplace
from training.data import ENTITY_TYPES
from training.data_folder import read_corpus
from training.recognition import WINDOW_TOKENS, load_recognizer
from training.uncertainty import least_sure
from training.written_set import check_absent, write_set_file, write_split


def run_unsure(place: Workplace, options: argparse.Namespace) -> None:
    """Runs it.

    Args:
        place: where the bare text is.
        options: of `add_unsure_options`.

    Raises:
        DataInvalid: a set has labels, its file is missing or wrong, or something would be written
            over.
        ModelInvalid: the model cannot be read.
    """
    sources = place.sources
    check_absent(options.into / source.name for source in sources)
    corpora = [read_corpus(place.data, source, "train") for source in sources]
    recognizer = load_recognizer(options.model, WINDOW_TOKENS, place.threads)
    for corpus, examples in zip(
        corpora, least_sure(corpora, recognizer, options.most), strict=True
    ):
        folder = options.into / corpus.source.name
        if examples:
            folder.mkdir(parents=True)
            about = {
                "title": corpus.source.title,
                "licence": corpus.source.licence,
                "unlabelled_types": list(ENTITY_TYPES),
            }
            write_set_file(folder, about)
            write_split(folder / "train.jsonl", ((e.text, ()) for e in examples))
        print(f"{folder}: {len(examples)} of {len(corpus.examples)} texts")
