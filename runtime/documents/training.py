"""A training: what is learned from which columns, how rows are split, and by which algorithm."""

import datetime as dt
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator

from runtime.documents.base import Document

# PostgreSQL stores no NUL.
Name = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00]*$")]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=80)]
Moment = int | float | str
Algorithm = Literal["logistic", "linear", "random-forest", "hist-gradient-boosting", "lightgbm"]
Metric = Literal[
    "auc", "average_precision", "log_loss", "brier", "accuracy", "f1", "precision", "recall",
    "rmse", "mae", "r2", "mape",
]  # fmt: skip
CLASSIFICATION_METRICS = (
    "auc", "average_precision", "log_loss", "brier", "accuracy", "f1", "precision", "recall",
)  # fmt: skip
REGRESSION_METRICS = ("rmse", "mae", "r2", "mape")


class Fractions(Document):
    """Shares of the rows; together 1."""

    train: float = Field(default=0.6, gt=0, lt=1, description="Share of the rows to learn from.")
    validation: float = Field(
        default=0.2, ge=0, lt=1, description="Share for early stopping and choice."
    )
    test: float = Field(
        default=0.2, gt=0, lt=1, description="Share kept aside for the honest score."
    )

    @model_validator(mode="after")
    def _are_whole(self) -> "Fractions":
        if abs(self.train + self.validation + self.test - 1) > 1e-9:
            raise ValueError("train, validation and test must add up to 1.")
        return self


class RandomSplit(Document):
    """Rows are split at random."""

    by: Literal["random"] = Field(description="At random.")
    fractions: Fractions = Field(
        default=Fractions(train=0.6, validation=0.2, test=0.2),
        description="Which share goes where.",
    )
    seed: int = Field(default=0, ge=0, lt=2**32, description="The same seed gives the same split.")
    stratify: bool = Field(
        default=True, description="Keep the classes' shares in every split (classification)."
    )


class TimeSplit(Document):
    """Rows are split by time: the past to learn from, the future to test on.

    Train: up to and with `train_until`. Validation: after it, up to and with `validation_until`.
    Test: from `test_from`. `gap` units (days, where the column holds times) after each end are left
    out, so that labels that look ahead do not overlap.
    """

    by: Literal["time"] = Field(description="By time.")
    column: Name = Field(description="The column that orders the rows: number, date or time.")
    train_until: Moment = Field(description="Last value that is learned from.")
    validation_until: Moment | None = Field(
        default=None, description="Last value of the validation rows."
    )
    test_from: Moment = Field(description="First value of the test rows.")
    gap: float = Field(
        default=0, ge=0, description="Units, or days, left out after each split's end."
    )

    @field_validator("train_until", "validation_until", "test_from", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        """YAML reads 2026-11-24 as a date; JSON has none."""
        return value.isoformat() if isinstance(value, dt.date) else value

    @model_validator(mode="after")
    def _is_in_order(self) -> "TimeSplit":
        ends = [self.train_until, self.validation_until, self.test_from]
        told = [each for each in ends if each is not None]
        if len({isinstance(each, str) for each in told}) > 1:
            raise ValueError("train_until, validation_until and test_from must be of one kind.")
        if any(a >= b for a, b in pairwise(_point(each) for each in told)):
            raise ValueError("train_until must lie before validation_until, that before test_from.")
        return self


class KFoldSplit(Document):
    """Every row is predicted once, by a model that has not seen its fold; the model that is kept
    learns from all rows."""

    by: Literal["kfold"] = Field(description="By k folds.")
    k: int = Field(default=5, ge=2, le=20, description="How many folds.")
    seed: int = Field(default=0, ge=0, lt=2**32, description="The same seed gives the same folds.")


def _point(value: Moment) -> float:
    """Numbers as they are, times as seconds."""
    if isinstance(value, str):
        try:
            moment = dt.datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"“{value}” is no time. Write 2026-11-24 or a number.") from None
        return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()
    return float(value)


class LogisticSettings(Document):
    c: float = Field(
        default=1.0, ge=1e-6, le=1e6, description="Inverse of the regularisation's strength."
    )
    max_iter: int = Field(default=500, ge=1, le=10_000, description="Most iterations.")
    balanced: bool = Field(
        default=False, description="Weigh classes by the inverse of their share."
    )


class LinearSettings(Document):
    alpha: float = Field(
        default=1.0, ge=0, le=1e6, description="Strength of the ridge regularisation."
    )


class ForestSettings(Document):
    trees: int = Field(default=100, ge=1, le=2_000, description="How many trees.")
    max_depth: int | None = Field(
        default=None, ge=1, le=100, description="Deepest tree; null: no limit."
    )
    min_samples_leaf: int = Field(default=5, ge=1, le=100_000, description="Fewest rows in a leaf.")
    max_features: float = Field(
        default=0.5, gt=0, le=1, description="Share of features tried per split."
    )
    balanced: bool = Field(
        default=False, description="Weigh classes by the inverse of their share."
    )


class HistSettings(Document):
    iterations: int = Field(default=300, ge=1, le=5_000, description="Most trees (per class).")
    learning_rate: float = Field(default=0.1, gt=0, le=1, description="What each tree adds.")
    max_leaves: int = Field(default=31, ge=2, le=1_024, description="Most leaves of a tree.")
    min_samples_leaf: int = Field(
        default=20, ge=1, le=100_000, description="Fewest rows in a leaf."
    )
    l2: float = Field(default=0.0, ge=0, le=1e6, description="L2 regularisation.")
    patience: int = Field(
        default=20, ge=0, le=1_000, description="Stop after so many trees without gain; 0: never."
    )


class LightGbmSettings(HistSettings):
    feature_fraction: float = Field(
        default=1.0, gt=0, le=1, description="Share of features per tree."
    )
    bagging_fraction: float = Field(default=1.0, gt=0, le=1, description="Share of rows per tree.")
    l1: float = Field(default=0.0, ge=0, le=1e6, description="L1 regularisation.")


SETTINGS: Mapping[str, type[Document]] = {
    "logistic": LogisticSettings,
    "linear": LinearSettings,
    "random-forest": ForestSettings,
    "hist-gradient-boosting": HistSettings,
    "lightgbm": LightGbmSettings,
}
ONE_TASK = {"logistic": "classification", "linear": "regression"}


def _tell_settings(schema: dict[str, Any]) -> None:
    """Each algorithm's settings, in the JSON Schema: which apply depends on `algorithm`."""
    schema["allOf"] = [
        {
            "if": {"properties": {"algorithm": {"const": name}}, "required": ["algorithm"]},
            "then": {"properties": {"settings": model.model_json_schema()}},
        }
        for name, model in SETTINGS.items()
    ]


class TrainingDocument(Document):
    """One training of one model."""

    model_config = {"extra": "forbid", "frozen": True, "json_schema_extra": _tell_settings}

    dataset: Slug = Field(description="The dataset to learn from, by its slug.")
    version: int | None = Field(
        default=None,
        ge=0,
        description="Which version of it, by number. Left out: the newest at launch.",
    )
    target: Name = Field(description="The column to predict.")
    task: Literal["classification", "regression"] = Field(description="Classes, or a number.")
    positive: Name | None = Field(
        default=None,
        description="Of two classes, the one whose probability is told.",
    )
    features: tuple[Name, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=2000,
        description="The columns to learn from. Left out: all but target, keys and split column.",
    )
    kinds: dict[str, Literal["number", "integer", "boolean", "category"]] = Field(
        default_factory=dict, description="What a feature is, where its type does not tell."
    )
    keys: tuple[Name, ...] = Field(
        default=(), max_length=10, description="Columns that name a row; the model never sees them."
    )
    split: Annotated[RandomSplit | TimeSplit | KFoldSplit, Field(discriminator="by")] = Field(
        default=RandomSplit(by="random"),
        description="How rows are split into train, validation, test.",
    )
    metric: Metric | None = Field(
        default=None,
        description="The metric to choose by. Left out: auc, or rmse for a regression.",
    )
    algorithm: Algorithm = Field(description="How to learn.")
    settings: dict[str, bool | int | float | None] = Field(
        default_factory=dict, validate_default=True, description="The algorithm's own settings."
    )
    baselines: tuple[Name, ...] = Field(
        default=(), max_length=20, description="Numeric columns scored alone, as naive baselines."
    )
    allow_leakage: tuple[Name, ...] = Field(
        default=(), max_length=100, description="Features kept though they give the target away."
    )
    seed: int = Field(default=0, ge=0, lt=2**31, description="The same seed gives the same model.")
    threads: int | None = Field(
        default=None, ge=1, le=256, description="Most cores to use. Left out: all that are granted."
    )
    max_rows: int | None = Field(
        default=None, ge=50, description="Learn from at most so many rows, drawn at random."
    )

    @field_validator("settings")
    @classmethod
    def _fill_settings(cls, value: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        """Only the algorithm's own settings, in their ranges; the others at their defaults."""
        algorithm = info.data.get("algorithm")
        if algorithm is None:
            return value
        model = SETTINGS[algorithm]
        if unknown := sorted(value.keys() - model.model_fields.keys()):
            known = ", ".join(model.model_fields)
            raise ValueError(f"{algorithm} has no setting “{unknown[0]}”. Settings: {known}.")
        try:
            return model.model_validate(value).model_dump()
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise ValueError(f"{first['loc'][0]}: {first['msg']}.") from None

    @model_validator(mode="after")
    def _fits_together(self) -> "TrainingDocument":
        task = ONE_TASK.get(self.algorithm, self.task)
        if task != self.task:
            raise ValueError(f"algorithm: {self.algorithm} is for {task}. Choose another.")
        allowed = CLASSIFICATION_METRICS if self.task == "classification" else REGRESSION_METRICS
        if self.metric is not None and self.metric not in allowed:
            raise ValueError(f"metric: a {self.task} has one of {', '.join(allowed)}.")
        if self.positive is not None and self.task != "classification":
            raise ValueError("positive: only a classification has a positive class.")
        self._refuse_leaks()
        return self

    def _refuse_leaks(self) -> None:
        """The target, and what names a row, are no features."""
        named = set(self.features or ())
        if self.target in named:
            raise ValueError(f"features: {self.target} is the target itself. Take it out.")
        if both := sorted(named & set(self.keys)):
            raise ValueError(f"features: {both[0]} is a key, which names a row. Take it out.")
        if self.target in self.keys:
            raise ValueError(f"keys: {self.target} is the target. Take it out.")
        if len(set(self.features or ())) != len(self.features or ()):
            raise ValueError("features: a column is named twice. Name each once.")
        column = getattr(self.split, "column", None)
        if column is not None and column == self.target:
            raise ValueError("split: the target cannot order the rows. Name another column.")

    @property
    def chosen_metric(self) -> str:
        return self.metric or ("auc" if self.task == "classification" else "rmse")

    def columns(self) -> dict[str, str]:
        """Every column the document names, with the path of the field that names it first."""
        found: dict[str, str] = {self.target: "target"}
        for field in ("features", "keys", "baselines", "allow_leakage"):
            for name in getattr(self, field) or ():
                found.setdefault(name, field)
        if isinstance(self.split, TimeSplit):
            found.setdefault(self.split.column, "split.column")
        for name in self.kinds:
            found.setdefault(name, f"kinds.{name}")
        return found
