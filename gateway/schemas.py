"""The JSON bodies of the REST interface.

Requests are checked against these models. Answers are written from the protobuf message without a
second check; their models are what `/docs` shows.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from gateway.errors import Reason

AggregationName = Literal["first", "simple", "average", "max", "none"]
OffsetUnitName = Literal["codepoint", "utf16", "byte"]
PriorityName = Literal["interactive", "bulk"]

# Names of models, versions and labels are short; a longer one is a mistake that need not travel on.
_Name = Annotated[str, Field(max_length=128)]
_Score = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]


# The most that an inference service can be set to take in one call (INFERENCE_MAX_TEXTS).
MAX_TEXTS: Final = 10_000


def _of(field: str, least: dict[str, Any], other: str) -> dict[str, Any]:
    return {
        "required": [field],
        "properties": {field: least, other: {"type": "null"}},
    }


# What the check behind the schema asks for, said in the schema.
_EITHER_TEXT_OR_TEXTS: Final[dict[str, Any]] = {
    "oneOf": [
        _of("text", {"type": "string", "minLength": 1}, "texts"),
        _of("texts", {"type": "array", "minItems": 1}, "text"),
    ]
}


class RecognizeBody(BaseModel):
    """Texts whose entities are asked for, with options. Send exactly one of `text` and `texts`."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, json_schema_extra=_EITHER_TEXT_OR_TEXTS
    )

    text: str | None = Field(default=None, description="One text, not empty.")
    texts: list[str] | None = Field(
        default=None,
        max_length=MAX_TEXTS,
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
    min_score: _Score | None = Field(
        default=None,
        description="Return only entities with at least this score; 0 returns all. Default: what"
        " the model says is best, and all where it says nothing.",
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
    min_score: float = Field(
        description="Least score of an entity that it returns where a call has no `min_score`."
    )
    label_consistency: float = Field(
        description="How far the occurrences of a word in a text speak for each other: from 0, not"
        " at all, to 1."
    )


class Model(BaseModel):
    """One model with its versions."""

    name: str
    live_version: str | None
    versions: list[ModelVersion]


class Models(BaseModel):
    """Every model of the repository."""

    default_model: str = Field(
        description="The model that answers requests which name none; empty: such requests are"
        " refused, as where it is outside of the key's scope."
    )
    models: list[Model]


class StreamOptions(BaseModel):
    """What the query string of a stream may say; it holds for every line."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: _Name = ""
    version: _Name = ""
    labels: Annotated[list[_Name], Field(max_length=1000)] = []
    min_score: _Score | None = None
    aggregation: AggregationName = "first"
    offset_unit: OffsetUnitName = "codepoint"


class StreamLine(BaseModel):
    """One line of a stream."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    id: Annotated[str, Field(max_length=256)] | int | None = Field(
        default=None, description="Comes back with the answer."
    )
    text: str


class StreamAnswer(BaseModel):
    """The answer to one line of a stream: either `entities` or `error`."""

    id: str | int | None = Field(default=None, description="The line's, if it had one.")
    line: int | None = Field(
        default=None,
        description="Number of the line, from 1. Absent in the last line of a stream that was"
        " ended before its time: no line after the last answered one was answered.",
    )
    model: str | None = Field(default=None, description="The model that answered.")
    version: str | None = Field(default=None, description="The version that answered.")
    entities: list[Entity] | None = None
    error: TextFailure | None = None


class HubParameters(BaseModel):
    """Parameters of Hugging Face's token-classification task; null is as good as absent."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    aggregation_strategy: AggregationName | None = Field(
        default=None, description="Default: simple, as at the Hub."
    )
    ignore_labels: list[_Name] | None = Field(
        default=None,
        max_length=1000,
        fail_fast=True,
        description='Labels that are left out, as they stand in the answer. Default: ["O"].',
    )
    stride: int | None = Field(
        default=None,
        ge=0,
        lt=2**31,
        description="Read a long text in chunks as long as the model takes, which share so many"
        " tokens. Default: as `/v1/entities` reads it; nothing is cut off.",
    )


class HubBody(BaseModel):
    """Texts whose tokens are classified, as the clients of Hugging Face's Hub send them."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    inputs: str | Annotated[list[str], Field(max_length=MAX_TEXTS, fail_fast=True)] = Field(
        description="One text, or several."
    )
    parameters: HubParameters | None = None
    options: dict[str, Any] | None = Field(
        default=None, description="Of the hosted service (`wait_for_model`); has no effect here."
    )


class HubEntity(BaseModel):
    """Tokens of one label; `start` and `end` are code points."""

    entity_group: str | None = Field(default=None, description="Not with the strategy `none`.")
    entity: str | None = Field(default=None, description="With `none`: the raw label.")
    index: int | None = Field(default=None, description="With `none`: place of the token.")
    score: float
    word: str = Field(description="The tokens written together; may differ from the text.")
    start: int
    end: int


class HubError(BaseModel):
    """Why a request of a client of the Hub failed."""

    error: str = Field(description="For a person; says what to change.")
    error_type: Reason = Field(description="Stable: clients may switch on it.")
    request_id: str


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
    HubBody, HubEntity, HubError, StreamLine, StreamAnswer,
)  # fmt: skip

RECOGNIZE_BODY: Final[TypeAdapter[RecognizeBody]] = TypeAdapter(RecognizeBody)
HUB_BODY: Final[TypeAdapter[HubBody]] = TypeAdapter(HubBody)
STREAM_OPTIONS: Final[TypeAdapter[StreamOptions]] = TypeAdapter(StreamOptions)
STREAM_LINE: Final[TypeAdapter[StreamLine]] = TypeAdapter(StreamLine)
DEMO_BODY: Final[TypeAdapter[str]] = TypeAdapter(str, config=ConfigDict(strict=True))
