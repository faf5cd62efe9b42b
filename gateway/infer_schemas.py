"""The JSON bodies of the Open Inference Protocol."""

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

# As wherever many values may stand: a million that do not fit are one error, not a million.
_Parameters = Annotated[
    dict[str, bool | int | float | str],
    Field(max_length=100, fail_fast=True, default_factory=dict),
]
_Row = Annotated[list[str], Field(fail_fast=True)]
_STRICT: Final = ConfigDict(strict=True, extra="forbid", frozen=True)


class InferInput(BaseModel):
    """An input tensor; its content in `data`, or after the JSON."""

    model_config = _STRICT

    name: str = Field(
        json_schema_extra={"const": "text"}, description="`text`, the one input of every model."
    )
    datatype: str = Field(json_schema_extra={"const": "BYTES"}, description="`BYTES`.")
    shape: list[int] = Field(max_length=8, description="`[n]` or `[n, 1]`, for n texts.")
    data: list[str | _Row] | None = Field(
        default=None, fail_fast=True, description="The texts, as they are or each in a list."
    )
    parameters: _Parameters = Field(
        description="`binary_data_size`: bytes of this tensor after the JSON, instead of `data`."
    )


class InferOutput(BaseModel):
    """An output tensor that is asked for."""

    model_config = _STRICT

    name: str = Field(
        json_schema_extra={"const": "entities"},
        description="`entities`, the one output of every model.",
    )
    parameters: _Parameters = Field(description="`binary_data`: send it after the JSON, not in it.")


class InferBody(BaseModel):
    """A request for the entities of texts."""

    model_config = _STRICT

    id: str | None = Field(default=None, description="Comes back in the answer.")
    # KServe's client sends both besides the path, which counts.
    model_name: str | None = Field(default=None, description="Ignored: the path says it.")
    model_version: str | None = Field(default=None, description="Ignored: the path says it.")
    inputs: list[InferInput] = Field(
        max_length=8, json_schema_extra={"minItems": 1, "maxItems": 1}, description="One."
    )
    outputs: list[InferOutput] | None = Field(default=None, max_length=8)
    parameters: _Parameters = Field(
        description="`labels` (separated by commas), `min_score`, `aggregation`, `offset_unit`,"
        " `priority`, `timeout` (microseconds), `binary_data_output`."
    )


class IndexBody(BaseModel):
    """Which versions are asked for."""

    model_config = _STRICT

    ready: bool = Field(default=False, description="Only versions that answer.")


class ControlBody(BaseModel):
    """How a model is to be loaded or unloaded."""

    model_config = _STRICT

    parameters: _Parameters = Field(description="None is needed.")


class InferFailure(BaseModel):
    """Why a request failed."""

    error: str = Field(description="For a person; says what to change.")


INFER_DOCUMENTED: Final[tuple[type[BaseModel], ...]] = (
    InferBody, IndexBody, ControlBody, InferFailure,
)  # fmt: skip

INFER_BODY: Final[TypeAdapter[InferBody]] = TypeAdapter(InferBody)
INDEX_BODY: Final[TypeAdapter[IndexBody]] = TypeAdapter(IndexBody)
CONTROL_BODY: Final[TypeAdapter[ControlBody]] = TypeAdapter(ControlBody)
