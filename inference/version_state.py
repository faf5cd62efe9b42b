"""One version of a model as a caller sees it."""

from dataclasses import dataclass
from enum import Enum

from inference.model import Model


class State(Enum):
    """What a version is doing; the names are those of `ner.v1.ModelVersion.State`."""

    READY = "READY"  # answers
    FAILED = "FAILED"  # could not be loaded; the detail says why
    LOADING = "LOADING"  # is being loaded; who names it waits for it
    UNLOADED = "UNLOADED"  # not in memory: loaded when somebody names it, or unloaded on request
    DRAINING = "DRAINING"  # answers what it has begun, and takes nothing new


@dataclass(frozen=True, slots=True)
class Traits:
    """What callers are told of a version; known since it was first loaded."""

    labels: tuple[str, ...] = ()  # entity types
    window_tokens: int = 0  # longest window
    min_score: float = 0.0  # of the entities that it returns, where a call has none
    label_consistency: float = 0.0  # how far the occurrences of a word speak for each other

    @classmethod
    def of(cls, model: Model) -> "Traits":
        """The traits of a loaded model."""
        decoder = model.decoder
        return cls(
            decoder.entity_types,
            model.tokenizer.window_tokens,
            decoder.min_score,
            decoder.label_consistency,
        )


NOT_KNOWN_YET = Traits()


@dataclass(frozen=True, slots=True)
class VersionState:
    """One version: its state, and the model while it is in memory."""

    name: str
    version: str
    live: bool
    model: Model | None
    detail: str = ""  # why it failed, or why a newer content of its folder did
    state: State | None = None  # none: READY with a model, FAILED without
    aliases: tuple[str, ...] = ()  # names by which a call may ask for it
    traits: Traits = NOT_KNOWN_YET
    memory_bytes: int = 0  # what it is taken to hold; 0 while it is not in memory
    answers: bool = False  # a call that names it, perhaps after loading it

    @property
    def standing(self) -> State:
        """The state, also where only the model was given."""
        return self.state or (State.READY if self.model else State.FAILED)
