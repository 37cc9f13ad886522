"""How experiments and runs are listed, in the browser and over REST alike."""

import hashlib
import re
from dataclasses import replace
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import FloatField, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

from apps.core.filters import FilterField
from apps.core.listing import ListSpec
from apps.experiments.models import Metric, Param, Run, Tag
from apps.jobs.models import State

ORDER = re.compile(r"(?P<minus>-?)metrics\.(?P<key>[^\x00]{1,250})")
# Runs without the metric stand last, whichever way the list goes.
BEYOND = 1.7e308


def _metric(key: str) -> FilterField:
    def within(condition: Q) -> Q:
        found = Metric.objects.filter(condition, key=key, is_last=True)
        return Q(pk__in=found.values("run_id"))

    return FilterField("number", "value", within=within)


def _param(key: str) -> FilterField:
    def within(condition: Q) -> Q:
        return Q(pk__in=Param.objects.filter(condition, key=key).values("run_id"))

    return FilterField("text", "value", within=within)


def _tag(key: str) -> FilterField:
    def within(condition: Q) -> Q:
        return Q(pk__in=Tag.objects.filter(condition, key=key).values("run_id"))

    return FilterField("text", "value", within=within)


EXPERIMENT_LIST = ListSpec(
    fields={
        "project": FilterField("text", "project__slug"),
        "slug": FilterField("text", "slug"),
        "description": FilterField("text", "description"),
        "created_at": FilterField("datetime", "created_at"),
    },
    order="-id",
)
RUN_LIST = ListSpec(
    fields={
        "project": FilterField("text", "experiment__project__slug"),
        "experiment": FilterField("text", "experiment__slug"),
        "name": FilterField("text", "name"),
        "state": FilterField("choice", "job__state", tuple(State.values)),
        "dataset": FilterField("text", "dataset_version__dataset__slug"),
        "created_by": FilterField("text", "created_by__name"),
        "created_at": FilterField("datetime", "created_at"),
        "finished_at": FilterField("datetime", "job__finished_at"),
        "metrics.*": FilterField("number", "metrics", family=_metric),
        "params.*": FilterField("text", "params", family=_param),
        "tags.*": FilterField("text", "tags", family=_tag),
    },
    order="-id",
)


def ordered_runs(rows: QuerySet[Run], order: str) -> tuple[QuerySet[Run], ListSpec]:
    """The runs in the order that `metrics.<key>`, or that with a minus in front, asks for: the
    newest value counts. Raise ValidationError for anything else; "" is newest first."""
    if not order:
        return rows, RUN_LIST
    match = ORDER.fullmatch(order)
    if match is None:
        text = "Order by a metric: metrics.test.auc, or -metrics.test.auc for the largest first."
        raise ValidationError({"order": text})
    minus, key = match["minus"], match["key"]
    # Named for its metric, so that a cursor of one order is refused by another.
    name = f"by_{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    newest = Metric.objects.filter(run=OuterRef("pk"), key=key, is_last=True).values("value")[:1]
    last = Value(-BEYOND if minus else BEYOND)
    value: Any = Coalesce(Subquery(newest), last, output_field=FloatField())
    return rows.annotate(**{name: value}), replace(RUN_LIST, order=f"{minus}{name}")
