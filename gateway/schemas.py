"""The JSON bodies of the REST interface.

Requests are checked against these models. Answers are written from the protobuf message without a
second check; their models are what `/docs` shows.
"""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from gateway.errors import Reason

AggregationName = Literal["first", "simple", "average", "max", "none"]
OffsetUnitName = Literal["codepoint", "utf16", "byte"]
PriorityName = Literal["interactive", "bulk"]

# Names of models, versions and labels are short; a longer one is a mistake that need not travel on.
_Name = Annotated[str, Field(max_length=128)]


class RecognizeBody(BaseModel):
    """Texts whose entities are asked for, with options. Send exactly one of `text` and `texts`."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    text: str | None = Field(default=None, description="One text.")
    texts: list[str] | None = Field(
        default=None,
        fail_fast=True,  # a list of a million numbers is one error, not a million
        description="Several texts, answered in order; one that fails does not fail the others.",
    )
    model: _Name | None = Field(default=None, description="Default: the server's default model.")
    version: _Name | None = Field(default=None, description="Default: the live version.")
    labels: list[_Name] | None = Field(
        default=None,
        max_length=1000,
        fail_fast=True,
        description="Return only these labels. Default: all.",
    )
    min_score: float = Field(
        default=0.0,
        ge=0.0,
        le=1.0,
        allow_inf_nan=False,
        description="Return only entities with at least this score.",
    )
    aggregation: AggregationName = Field(
        default="first",
        description="How tokens become entities; the names and meanings are Hugging Face's.",
    )
    offset_unit: OffsetUnitName = Field(
        default="codepoint",
        description="What `start` and `end` count: code points (Python, Go runes), UTF-16 units"
        " (JavaScript, Java, C#) or bytes of the UTF-8 text (Rust, Go strings, C).",
    )
    priority: PriorityName = Field(
        default="interactive",
        description="Who goes first where calls wait: `bulk` takes what interactive calls leave,"
        " and a tenth of the time at least.",
    )
    timings: bool = Field(default=False, description="Also say where the time went.")


class Entity(BaseModel):
    """A named entity."""

    text: str = Field(description="Exactly the characters of the text from `start` to `end`.")
    label: str = Field(description="With aggregation `none` the raw label, such as `B-PER`.")
    start: int = Field(ge=0, description="First character, in the unit asked for.")
    end: int = Field(ge=0, description="One past the last character, in the unit asked for.")
    score: float = Field(ge=0, le=1, description="Rounded to 6 decimals.")


class Timings(BaseModel):
    """Where the time of a call went, in nanoseconds; the longest of its texts' figures."""

    tokenize_ns: int
    queue_ns: int
    inference_ns: int
    decode_ns: int


class TextAnswer(BaseModel):
    """The answer to `text`."""

    model: str = Field(description="The model that answered.")
    version: str = Field(description="The version that answered.")
    entities: list[Entity] = Field(description="In text order.")
    timings: Timings | None = Field(default=None, description="Only if asked for.")


class TextFailure(BaseModel):
    """Why one of several texts has no answer."""

    reason: Reason
    detail: str


class TextResult(BaseModel):
    """The outcome of one of several texts: either `entities` or `error`."""

    entities: list[Entity] | None = None
    error: TextFailure | None = None


class TextsAnswer(BaseModel):
    """The answer to `texts`."""

    model: str = Field(description="The model that answered.")
    version: str = Field(description="The version that answered.")
    results: list[TextResult] = Field(description="One per text, in the order of `texts`.")
    timings: Timings | None = Field(default=None, description="Only if asked for.")


class ModelVersion(BaseModel):
    """One version of a model."""

    version: str
    state: Literal["READY", "FAILED", "LOADING", "UNLOADED", "DRAINING", "STATE_UNSPECIFIED"]
    detail: str = Field(description="Why it could not be loaded; else empty.")
    live: bool = Field(description="Whether it answers requests that name no version.")
    aliases: list[str] = Field(description="Names by which requests may ask for it.")
    labels: list[str] = Field(description="Entity types.")
    max_window_tokens: int = Field(description="Longer texts are cut into several windows.")


class Model(BaseModel):
    """One model with its versions."""

    name: str
    live_version: str | None
    versions: list[ModelVersion]


class Models(BaseModel):
    """Every model of the repository."""

    default_model: str = Field(description="The model that answers requests which name none.")
    models: list[Model]


class Columns(BaseModel):
    """Words over their tags, in columns."""

    input: str
    output: str


class ProblemField(BaseModel):
    """What is wrong with one field."""

    field: str = Field(description="Where it stands; empty for the body as a whole.")
    detail: str


class Problem(BaseModel):
    """Why a request failed (RFC 9457)."""

    type: Literal["about:blank"]
    title: str = Field(description="The HTTP status in words.")
    status: int
    detail: str = Field(description="For a person; says what to change.")
    reason: Reason = Field(description="Stable: clients may switch on it.")
    request_id: str = Field(description="Also in the header `X-Request-ID`, and in the logs.")
    errors: list[ProblemField] | None = Field(default=None, description="With FIELD_INVALID.")


DOCUMENTED: Final[tuple[type[BaseModel], ...]] = (
    RecognizeBody, TextAnswer, TextsAnswer, Model, Models, Columns, Problem,
)  # fmt: skip

RECOGNIZE_BODY: Final[TypeAdapter[RecognizeBody]] = TypeAdapter(RecognizeBody)
DEMO_BODY: Final[TypeAdapter[str]] = TypeAdapter(str, config=ConfigDict(strict=True))
