"""What the command `speed` does: files side by side, in tokens a second of one core."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from training.checkpoint import load_plain
from training.commands import Workplace, dev_corpora
from training.plain_export import export_plainly
from training.recognition import WINDOW_TOKENS, load_recognizer
from training.speed import (
    Batch,
    fastest_tokens_per_s,
    mixed_batches,
    single_batches,
    uniform_batches,
    unsorted_batches,
)


def run_speed(place: Workplace, models: Sequence[Path], measured_s: float) -> None:
    """Prints the speed of files beside the plain int8 export of the checkpoint in `run`.

    Args:
        place: where the checkpoint and the data are.
        models: more files with the same inputs; a checkpoint's own int8 file is always measured.
        measured_s: how long each file is run for each row, in all of its loads.
    """
    recognizer = load_recognizer(place.int8, WINDOW_TOKENS, place.threads)
    texts = [example.text for corpus in dev_corpora(place) for example in corpus.examples]
    rows = [w.ids for text in texts for w in recognizer.tokenizer.tokenize(text).windows]
    shapes: dict[str, list[Batch]] = {
        "one sentence a run": single_batches(rows),
        "10 x 25, a batch of the service": uniform_batches(rows, 10, 25),
        "32 x 24": uniform_batches(rows, 32, 24),
        "16 sentences, sorted by length": mixed_batches(rows),
        "16 sentences as they come": unsorted_batches(rows),
    }
    with TemporaryDirectory() as folder:
        plain = Path(folder) / "plain.onnx"
        export_plainly(load_plain(place.run), plain)
        files = [plain, place.int8, *models]
        names = ["plain", *map(str, files[1:])]
        print("tokens/s of one core; ratios to the plain int8 export of the same checkpoint")
        print(f"{'':<32}" + "".join(f"{name[-22:]:>24}" for name in names))
        for name, batches in shapes.items():
            speeds = fastest_tokens_per_s(files, batches, measured_s)
            cells = (f"{speed:,.0f} ({speed / speeds[0]:.2f})" for speed in speeds)
            print(f"{name:<32}" + "".join(f"{cell:>24}" for cell in cells), flush=True)
