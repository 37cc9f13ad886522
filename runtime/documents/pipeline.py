"""Pipelines as documents: named steps, each naming the steps it reads."""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from runtime.documents.base import Document

StepName = Annotated[
    str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", min_length=1, max_length=48)
]
Slug = Annotated[
    str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", min_length=1, max_length=48)
]
Column = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Columns = Annotated[list[Column], Field(max_length=2000)]
Expression = Annotated[str, StringConstraints(min_length=1, max_length=10_000)]
Expressions = Annotated[dict[Column, Expression], Field(min_length=1, max_length=500)]
Scalar = bool | int | float | str
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]
INPUT = Field(description="The step whose rows this one takes.")
KINDS = Literal["boolean", "integer", "number", "text", "date", "timestamp"]


class ReadStep(Document):
    """The rows of a version of a dataset."""

    operation: Literal["read"]
    dataset: Slug = Field(description="The dataset's slug.")
    version: int | None = Field(
        None, ge=0, description="Its version's number. Left out: the newest when the run starts."
    )
    columns: Columns = Field([], description="Only these columns, in this order. Empty: all.")


class SelectStep(Document):
    """Some of the columns, under new names where asked. `rename` maps old to new."""

    operation: Literal["select"]
    input: StepName = INPUT
    columns: Columns = Field([], description="The columns to keep, in order. Empty: all.")
    drop: Columns = Field([], description="Columns to leave out.")
    rename: dict[Column, Column] = Field({}, description="Old name to new name.")


class FilterStep(Document):
    """The rows for which a condition is true."""

    operation: Literal["filter"]
    input: StepName = INPUT
    where: Expression = Field(description="A SQL condition on the input's columns.")


class CastStep(Document):
    """Columns turned into other types."""

    operation: Literal["cast"]
    input: StepName = INPUT
    columns: dict[Column, KINDS] = Field(min_length=1, description="Column to type.")
    on_error: Literal["fail", "missing"] = Field(
        "fail", description="What to do with a value that cannot be turned: stop, or leave empty."
    )


class Fill(Document):
    """How the missing values of a column are filled."""

    method: Literal["constant", "mean", "median", "previous"] = Field(
        description="A constant, the column's mean or median, or the value of the row before."
    )
    value: Scalar | None = Field(None, description="The constant.")
    order_by: Columns = Field([], description="For previous: what the rows are ordered by.")
    partition_by: Columns = Field([], description="Groups that are filled each by itself.")

    @model_validator(mode="after")
    def _whole(self) -> "Fill":
        if (self.method == "constant") != (self.value is not None):
            raise ValueError("A constant needs a value, and only a constant takes one.")
        if (self.method == "previous") != bool(self.order_by):
            raise ValueError("Previous needs order_by, and only previous takes it.")
        return self


class FillMissingStep(Document):
    """Missing values filled."""

    operation: Literal["fill_missing"]
    input: StepName = INPUT
    columns: dict[Column, Fill] = Field(min_length=1, description="Column to how it is filled.")


class DeduplicateStep(Document):
    """One row for each value of the keys: the first by `order_by`."""

    operation: Literal["deduplicate"]
    input: StepName = INPUT
    keys: Columns = Field([], description="What makes two rows the same. Empty: every column.")
    order_by: list[Expression] = Field(
        [],
        max_length=20,
        description="Which row is kept: the first by these (“week desc”). Empty: by all columns.",
    )


class ClipOutliersStep(Document):
    """Numbers held within bounds, given or taken from the data's quantiles."""

    operation: Literal["clip_outliers"]
    input: StepName = INPUT
    columns: Columns = Field(min_length=1, description="Numeric columns.")
    lower: float | None = Field(None, description="The least value that stays.")
    upper: float | None = Field(None, description="The greatest value that stays.")
    lower_quantile: float | None = Field(None, ge=0, le=1, description="Instead of lower.")
    upper_quantile: float | None = Field(None, ge=0, le=1, description="Instead of upper.")

    @model_validator(mode="after")
    def _bounded(self) -> "ClipOutliersStep":
        pairs = ((self.lower, self.lower_quantile), (self.upper, self.upper_quantile))
        if any(a is not None and b is not None for a, b in pairs):
            raise ValueError("Give a bound or a quantile for each end, not both.")
        if all(a is None and b is None for a, b in pairs):
            raise ValueError("Give a bound or a quantile for at least one end.")
        return self


class DeriveStep(Document):
    """New columns from SQL expressions; a column of the same name is replaced."""

    operation: Literal["derive"]
    input: StepName = INPUT
    columns: Expressions = Field(description="Column to expression on the input's columns.")


class JoinStep(Document):
    """Two inputs side by side, where keys are equal."""

    operation: Literal["join"]
    left: StepName = Field(description="The step on the left.")
    right: StepName = Field(description="The step on the right.")
    how: Literal["inner", "left", "right", "full", "semi", "anti"] = Field(
        "inner", description="Which rows stay; semi and anti add no columns."
    )
    keys: Columns = Field(min_length=1, description="Columns on the left that must be equal.")
    right_keys: Columns = Field([], description="Their names on the right, where others.")
    suffix: str = Field(
        "_right", max_length=48, description="Added to names of the right that the left has too."
    )

    @model_validator(mode="after")
    def _paired(self) -> "JoinStep":
        if self.right_keys and len(self.right_keys) != len(self.keys):
            raise ValueError("right_keys must name as many columns as keys.")
        return self


class UnionStep(Document):
    """The rows of several inputs, one under the other, matched by column name."""

    operation: Literal["union"]
    inputs: list[StepName] = Field(min_length=2, max_length=50, description="The steps.")
    distinct: bool = Field(False, description="Whether equal rows are kept once only.")


class AggregateStep(Document):
    """One row for each group, with aggregates."""

    operation: Literal["aggregate"]
    input: StepName = INPUT
    group_by: Columns = Field([], description="The groups' columns. Empty: one row for all.")
    columns: Expressions = Field(description="Column to aggregate expression, such as sum(x).")


class WindowColumn(Document):
    """A column computed over the rows around each row."""

    expression: Expression = Field(
        description="An aggregate or window function, such as sum(spend) or lag(week)."
    )
    frame: str = Field(
        "",
        max_length=200,
        pattern=r"^((?i:rows|range|groups)\s[\w\s']+)?$",
        description="Such as “rows between 3 preceding and current row”. Empty: SQL's default.",
    )


class WindowStep(Document):
    """New columns computed over each row's neighbours."""

    operation: Literal["window"]
    input: StepName = INPUT
    partition_by: Columns = Field([], description="Rows of one group see only each other.")
    order_by: list[Expression] = Field([], max_length=20, description="The order in a group.")
    columns: dict[Column, WindowColumn] = Field(
        min_length=1, max_length=500, description="Column to what is computed."
    )


class SampleStep(Document):
    """A part of the rows, the same ones each time for the same seed."""

    operation: Literal["sample"]
    input: StepName = INPUT
    fraction: float | None = Field(None, gt=0, lt=1, description="Which part of the rows.")
    rows: int | None = Field(None, ge=1, description="How many rows, instead of fraction.")
    seed: Seed = Field(0, description="Another seed takes other rows.")
    keys: Columns = Field([], description="Rows equal in these stay together. Empty: all columns.")

    @model_validator(mode="after")
    def _either(self) -> "SampleStep":
        if (self.fraction is None) == (self.rows is None):
            raise ValueError("Give either fraction or rows.")
        return self


class SplitStep(Document):
    """A column that says which part a row belongs to: by time, or at random by key."""

    operation: Literal["split"]
    input: StepName = INPUT
    column: Column = Field("split", description="The new column.")
    fractions: dict[Column, float] = Field(
        {}, max_length=20, description="At random: part to fraction; together 1."
    )
    seed: Seed = Field(0, description="At random: another seed, another split.")
    keys: Columns = Field([], description="At random: rows equal in these stay together.")
    by: Column | None = Field(None, description="By time: the column that decides.")
    until: dict[Column, Scalar | None] = Field(
        {},
        max_length=20,
        description="By time: part to its last value, in order; the last part's is null.",
    )

    @model_validator(mode="after")
    def _either(self) -> "SplitStep":
        if bool(self.fractions) == bool(self.until) or bool(self.by) != bool(self.until):
            raise ValueError("Give either fractions, or by and until.")
        if self.fractions and not (
            all(each > 0 for each in self.fractions.values())
            and abs(sum(self.fractions.values()) - 1) < 1e-9
        ):
            raise ValueError("The fractions must be positive and together be 1.")
        ends = list(self.until.values())
        if ends and (None in ends[:-1] or ends[-1] is not None):
            raise ValueError("The last part's value must be null, and no other's.")
        return self


class Rule(Document):
    """Something that must hold. `severity`: a warning is told, an error stops the run."""

    severity: Literal["warn", "error"] = Field("error", description="What a breach does.")


class NotNullRule(Rule):
    """No value of these columns is missing."""

    rule: Literal["not_null"]
    columns: Columns = Field(min_length=1, description="The columns.")


class UniqueRule(Rule):
    """No two rows are equal in these columns together."""

    rule: Literal["unique"]
    columns: Columns = Field(min_length=1, description="The columns.")


class RangeRule(Rule):
    """Values lie within bounds; missing ones pass."""

    rule: Literal["range"]
    column: Column = Field(description="The column.")
    min: int | float | str | None = Field(None, description="The least value.")
    max: int | float | str | None = Field(None, description="The greatest value.")


class ValuesRule(Rule):
    """Values are some of these; missing ones pass."""

    rule: Literal["values"]
    column: Column = Field(description="The column.")
    allowed: list[Scalar] = Field(min_length=1, max_length=1000, description="The values.")


class ExpressionRule(Rule):
    """A condition is true for every row."""

    rule: Literal["expression"]
    where: Expression = Field(description="A SQL condition on the input's columns.")


class RowCountRule(Rule):
    """There are as many rows as expected."""

    rule: Literal["row_count"]
    min: int | None = Field(None, ge=0, description="At least.")
    max: int | None = Field(None, ge=0, description="At most.")


class ForeignKeyRule(Rule):
    """Every value is found in another step; missing ones pass."""

    rule: Literal["foreign_key"]
    columns: Columns = Field(min_length=1, description="The columns.")
    step: StepName = Field(description="The step in which they must be found.")
    step_columns: Columns = Field([], description="Their names there, where others.")


AnyRule = Annotated[
    NotNullRule
    | UniqueRule
    | RangeRule
    | ValuesRule
    | ExpressionRule
    | RowCountRule
    | ForeignKeyRule,
    Field(discriminator="rule"),
]


class CheckStep(Document):
    """Rules that the input's rows must hold; the rows pass through."""

    operation: Literal["check"]
    input: StepName = INPUT
    rules: list[AnyRule] = Field(min_length=1, max_length=200, description="The rules.")


class SqlStep(Document):
    """One SELECT of your own over the named inputs."""

    operation: Literal["sql"]
    inputs: list[StepName] = Field(
        min_length=1, max_length=50, description="The steps it reads; tables of the same name."
    )
    query: str = Field(min_length=1, max_length=100_000, description="One SELECT, DuckDB's SQL.")


class WriteStep(Document):
    """The rows become a new version of a dataset, made if it is not there."""

    operation: Literal["write"]
    input: StepName = INPUT
    dataset: Slug = Field(description="The dataset's slug.")
    mode: Literal["overwrite", "append"] = Field(
        "overwrite", description="Whether the version replaces the rows there or adds to them."
    )


Step = Annotated[
    ReadStep
    | SelectStep
    | FilterStep
    | CastStep
    | FillMissingStep
    | DeduplicateStep
    | ClipOutliersStep
    | DeriveStep
    | JoinStep
    | UnionStep
    | AggregateStep
    | WindowStep
    | SampleStep
    | SplitStep
    | CheckStep
    | SqlStep
    | WriteStep,
    Field(discriminator="operation"),
]


class PipelineDocument(Document):
    """Steps by name, and the parameters that expressions use as `$name`."""

    parameters: dict[StepName, Scalar] = Field(
        {}, max_length=50, description="Parameter to its default; its type is the default's."
    )
    steps: dict[StepName, Step] = Field(
        min_length=1, max_length=200, description="Step name to step."
    )


def inputs_of(step: Any) -> list[str]:
    """The steps that a step reads, in order; those its rules look into come last."""
    match step:
        case ReadStep():
            return []
        case JoinStep():
            return [step.left, step.right]
        case UnionStep() | SqlStep():
            return list(step.inputs)
        case CheckStep():
            others = [rule.step for rule in step.rules if isinstance(rule, ForeignKeyRule)]
            return list(dict.fromkeys([step.input, *others]))
    return [step.input]
