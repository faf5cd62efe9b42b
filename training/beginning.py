"""What a run begins with: a pretrained encoder and an untrained head, or a trained model."""

from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from training.casing import cased_tokenizer, cased_vocabulary, uncased_pieces
from training.checkpoint import (
    TOKENIZER_FILE,
    TrainedOn,
    TrainingRecord,
    load_cased,
    load_record,
    load_tokenizer,
    weights_sha256,
)
from training.network import (
    Network,
    encoder_folder,
    encoder_licence,
    new_network,
)
from training.recipe import Recipe, encoder_name


@dataclass(frozen=True, slots=True, eq=False)
class Beginning:
    """A network before its first step, and where its weights are from."""

    network: Network
    tokenizer: Tokenizer
    weights_sha256: str
    encoder: str
    encoder_licence: str
    encoder_sha256: str
    trained: TrainingRecord | None = None  # how the model came about, if it is one

    @property
    def command(self) -> str:
        """What trained it; empty: nothing yet."""
        return self.trained.command if self.trained else ""

    def learned(self, data: tuple[TrainedOn, ...]) -> tuple[TrainedOn, ...]:
        """All that a model has learned from that learns this data now: its terms count as well."""
        names = {entry.set for entry in data}
        before = self.trained.data if self.trained else ()
        return (*data, *(entry for entry in before if entry.set not in names))


def beginning_of(recipe: Recipe) -> Beginning:
    """Reads it.

    Args:
        recipe: names it.

    Raises:
        FileNotFoundError: there is no such encoder.
        EncoderInvalid: its tokenizer is not an uncased WordPiece.
        CheckpointInvalid: the folder to begin with is not a checkpoint.
    """
    return _model(Path(recipe.begin_with)) if recipe.begin_with else _encoder(recipe.encoder)


def beginning_sha256(recipe: Recipe) -> str:
    """The sha256 of the weights of `beginning_of`, which are not read into a network.

    Args:
        recipe: names them.

    Raises:
        FileNotFoundError: there are none.
    """
    begin_with = recipe.begin_with
    return weights_sha256(Path(begin_with) if begin_with else encoder_folder(recipe.encoder))


def encoder_tokenizer(encoder: str) -> Tokenizer:
    """The tokenizer of a run that begins with an encoder.

    Args:
        encoder: folder or hub name; empty: the installed package.

    Raises:
        FileNotFoundError: there is no such encoder.
        EncoderInvalid: its tokenizer is not an uncased WordPiece.
    """
    return cased_tokenizer(cased_vocabulary(_pieces(encoder_folder(encoder))))


def _pieces(folder: Path) -> dict[str, int]:
    return uncased_pieces((folder / TOKENIZER_FILE).read_text("utf-8"))


def _encoder(name: str) -> Beginning:
    folder = encoder_folder(name)
    pieces = _pieces(folder)
    vocabulary = cased_vocabulary(pieces)
    sha256 = weights_sha256(folder)
    return Beginning(
        new_network(folder, vocabulary, [*pieces.values()]),
        cased_tokenizer(vocabulary),
        weights_sha256=sha256,
        encoder=encoder_name(name),
        encoder_licence=encoder_licence(folder),
        encoder_sha256=sha256,
    )


def _model(folder: Path) -> Beginning:
    record = load_record(folder)
    return Beginning(
        load_cased(folder),
        load_tokenizer(folder),
        weights_sha256=weights_sha256(folder),
        encoder=record.encoder,
        encoder_licence=record.encoder_licence,
        encoder_sha256=record.encoder_sha256,
        trained=record,
    )
