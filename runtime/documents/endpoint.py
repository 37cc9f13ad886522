"""An endpoint: which model it serves, and what it keeps of the requests."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from runtime.documents.base import Document

Name = Annotated[str, Field(min_length=1, max_length=255)]


class CapturePolicy(Document):
    """What is kept of requests and answers, for monitoring and for tracing a prediction."""

    is_on: bool = Field(default=True, description="Keep requests at all.")
    sample: float = Field(
        default=1.0, ge=0, le=1, description="Share of the requests that is kept."
    )
    columns: dict[Name, Literal["keep", "hash", "drop"]] = Field(
        default_factory=dict,
        max_length=5_000,
        description=(
            "What is done with a column before it is kept; one not named here is kept as it is. "
            "A hash tells equal values, and is made with a secret of this site's."
        ),
    )


class RequestLimits(Document):
    """What one request, and all that wait at once, may ask for."""

    rows: int = Field(default=1000, ge=1, le=100_000, description="Most rows in one request.")
    body_bytes: int = Field(
        default=1_048_576,
        ge=1_024,
        le=67_108_864,
        description="Largest body of a request, in bytes.",
    )
    queue: int = Field(
        default=64, ge=1, le=10_000, description="Most requests that wait for one native release."
    )
    deadline_seconds: float = Field(
        default=10.0,
        ge=0.1,
        le=300,
        description="How long a native release may take for one answer.",
    )


class EndpointDocument(Document):
    """The definition of an endpoint."""

    model: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=48)] = Field(
        description="The slug of the model whose versions are released here."
    )
    keys: list[Name] = Field(
        default_factory=list,
        max_length=20,
        description=(
            "Columns that name a row, such as a customer's number. They may be sent with it, are "
            "captured, and the model never sees them. Those of the model's signature are known."
        ),
    )
    sticky: Name | None = Field(
        default=None,
        description=(
            "A column whose value decides which release answers: equal values, the same release."
        ),
    )
    capture: CapturePolicy = Field(
        default_factory=CapturePolicy, description="What is kept of requests."
    )
    limits: RequestLimits = Field(
        default_factory=RequestLimits, description="What a request may ask for."
    )

    @model_validator(mode="after")
    def _has_each_key_once(self) -> "EndpointDocument":
        if len(set(self.keys)) < len(self.keys):
            raise ValueError("keys: a column is named twice.")
        return self
