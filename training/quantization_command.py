"""What the command `compare-quantization` does: one checkpoint in every form, measured."""

from pathlib import Path
from tempfile import TemporaryDirectory

from training.activations import training_rows
from training.checkpoint import load_cased
from training.commands import Workplace, dev_corpora
from training.data_folder import read_training_corpora
from training.export import export
from training.quantization_comparison import as_table, make_forms, measure, rank
from training.recognition import WINDOW_TOKENS, load_recognizer

_MATRICES_SHOWN = 8


def run_compare_quantization(place: Workplace) -> None:
    """Prints what each form of the model in `run` is worth, and which matrices are sensitive.

    Args:
        place: where the checkpoint and the data are.
    """
    export(load_cased(place.run), place.float32)
    recognizer = load_recognizer(place.float32, WINDOW_TOKENS, place.threads)
    trained = read_training_corpora(
        place.data, place.sources, drop_duplicates=place.drop_duplicates
    )
    rows = training_rows(recognizer, trained)
    ranked = rank(place.float32, rows, place.threads)
    print("logits nearer to float32's when one matrix stays float32")
    for each in ranked[:_MATRICES_SHOWN]:
        print(f"{each.matrix:<20}{each.gain:7.1%}")
    with TemporaryDirectory() as folder:
        forms = make_forms(place.float32, Path(folder), rows, ranked, place.threads)
        print(f"\n{as_table(measure(recognizer, forms, dev_corpora(place), place.threads))}")
