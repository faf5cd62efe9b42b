"""The command `passages`: consecutive sentences of sets, joined to longer texts."""

import argparse

from training.beginning import encoder_tokenizer
from training.commands import Workplace
from training.data_folder import read_corpus, read_training_corpora
from training.passages import SEPARATORS, Packing, layouts, write_passages
from training.written_set import check_absent


def run_passages(place: Workplace, options: argparse.Namespace) -> None:
    """Runs it.

    Args:
        place: where the sentences are.
        options: of `add_passages_options`.

    Raises:
        DataInvalid: a file of a set is missing or wrong, a sentence is in train and in dev, or
            the sets would be written over.
        EncoderInvalid: the encoder's tokenizer is not an uncased WordPiece.
    """
    sources = place.sources
    check_absent(options.into / source.name for source in sources)
    tokenizer = encoder_tokenizer(options.encoder)

    def length(text: str) -> int:
        return len(tokenizer.encode(text, add_special_tokens=False))

    packing = Packing(
        length,
        options.window_tokens - tokenizer.num_special_tokens_to_add(is_pair=False),
        SEPARATORS[options.separator],
    )
    trained = read_training_corpora(place.data, sources, drop_duplicates=place.drop_duplicates)
    measured = [read_corpus(place.data, source, "dev") for source in sources if source.has_dev]
    for corpora, split, count in (
        (trained, "train", options.layouts),
        (measured, "dev", 1),
    ):
        for corpus in corpora:
            folder = options.into / corpus.source.name
            passages = layouts(corpus.examples, packing, count)
            written = write_passages(folder, corpus, split, passages)
            print(f"{folder}: {written} passages of {len(corpus.examples)} sentences of {split}")
