"""What a version of a model needs before it may be approved."""

from typing import Literal, Self

from pydantic import Field, model_validator

from runtime.documents.base import Document


class Gate(Document):
    """A metric of the version's run, and what it must reach: exactly one of the three limits."""

    metric: str = Field(
        min_length=1,
        max_length=250,
        pattern=r"^[^\x00-\x1f]+$",
        description="The run's metric, such as `test.auc`.",
    )
    at_least: float | None = Field(
        default=None, allow_inf_nan=False, description="The metric must be this or more."
    )
    at_most: float | None = Field(
        default=None, allow_inf_nan=False, description="The metric must be this or less."
    )
    better_than: str | None = Field(
        default=None,
        pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$",
        max_length=48,
        description="An alias, such as `champion`: the metric must be better than the same "
        "metric of the version it names. Holds while it names none.",
    )
    better_is: Literal["higher", "lower"] = Field(
        default="higher", description="For `better_than`: which way is better."
    )

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        limits = (self.at_least, self.at_most, self.better_than)
        if sum(each is not None for each in limits) != 1:
            raise ValueError("Give exactly one of at_least, at_most and better_than.")
        return self


class PolicyDocument(Document):
    """What a model's versions need to be approved. Owners of the project approve."""

    not_by_author: bool = Field(
        default=False,
        description="Whoever registered the version or launched its run cannot approve it.",
    )
    needs_onnx: bool = Field(
        default=False,
        description="Only versions served by ONNX Runtime can be approved.",
    )
    gates: list[Gate] = Field(
        default_factory=list, max_length=20, description="Metrics that must be reached."
    )
