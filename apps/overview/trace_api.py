"""REST: one prediction traced back to its rows, and the way of a column."""

from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.viewsets import HouseSerializer, HouseViewSet
from apps.overview.lineage import walk_lineage
from apps.overview.trace_rows import MAX_LIMIT, trace_rows
from apps.overview.traces import NotCaptured, trace_request
from apps.projects.models import Project

MAX_OFFSET = 100_000


class TraceQuery(serializers.Serializer[Any]):
    """What a trace is asked with, in the query."""

    project = serializers.SlugField(help_text="The project's slug.")
    request_id = serializers.CharField(
        max_length=200, help_text="The `X-Request-Id` of the answer."
    )
    endpoint = serializers.SlugField(
        required=False, default="", help_text="The endpoint's slug. Left out: all are searched."
    )


class TraceRowsQuery(TraceQuery):
    row = serializers.IntegerField(
        required=False, default=0, min_value=0, max_value=1_000_000,
        help_text="Which row of the request, from 0.",
    )  # fmt: skip
    by = serializers.CharField(
        required=False, default="", max_length=255,
        help_text="The key column by which inputs' rows are found. Left out: the first that fits.",
    )  # fmt: skip
    input = serializers.UUIDField(
        required=False, help_text="Only this input: the dataset version's uuid."
    )
    limit = serializers.IntegerField(
        required=False, default=1_000, min_value=1, max_value=MAX_LIMIT,
        help_text="Rows of each input.",
    )  # fmt: skip
    offset = serializers.IntegerField(
        required=False, default=0, min_value=0, max_value=MAX_OFFSET, help_text="Rows to skip."
    )


class LineageQuery(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(["source", "dataset_version", "model_version"])
    id = serializers.UUIDField(help_text="Its uuid.")
    column = serializers.CharField(
        max_length=255, required=False, default="", help_text="Left out: all its columns."
    )
    direction = serializers.ChoiceField(
        ["down", "up"], required=False, default="down",
        help_text="down: what comes of it. up: what it comes from.",
    )  # fmt: skip


class TraceSerializer(HouseSerializer):
    """One request's way back. Each part names itself by `kind`, `uuid`, `label` and `url`."""

    request = serializers.DictField(
        help_text="`request_id`, `endpoint`, `release` (its slug), `is_complete` and `rows`: row, "
        "at, keys, inputs, prediction, label, latency_us of each."
    )
    release = serializers.DictField(help_text="With slug, weight, created_at.")
    model_version = serializers.DictField(
        help_text="With model, number, engine, verdict, signature, conversion, files."
    )
    run = serializers.DictField(
        help_text="The training, with experiment, definition, seed, code_digest, packages, metrics."
    )
    dataset_version = serializers.DictField(
        help_text="What was learned from, with dataset, number, rows, columns, created_at."
    )
    pipeline_run = serializers.DictField(
        allow_null=True,
        help_text="What made the dataset version, with pipeline, version, digest, inputs, "
        "parameters. Null where no pipeline did.",
    )
    inputs = serializers.ListField(
        child=serializers.DictField(),
        help_text="Dataset versions it was made from, nearest first, told as `dataset_version`.",
    )
    sources = serializers.ListField(
        child=serializers.DictField(),
        help_text="With source_kind, and the dataset_version that was read from it.",
    )


class TraceRowsSerializer(HouseSerializer):
    """Rows: the dataset's own, and those of every pinned input that share its key. `is_cut`: there
    are more; ask for that input alone, with an offset."""

    request = serializers.DictField(help_text="`request_id`, `row` and its `keys`.")
    dataset_row = serializers.DictField(
        help_text="`dataset_version`, `where` (the keys), `rows`, `is_cut`, `note`; `is_same`: a "
        "row's values are those that the request carried."
    )
    inputs = serializers.ListField(
        child=serializers.DictField(),
        help_text="`dataset_version`, `where`, `key`, `matched_by` (lineage, name, join or empty), "
        "`rows`, `is_cut`, `note`.",
    )


class LineageSerializer(HouseSerializer):
    """A graph of columns. `start` and the ends of `edges` are places in `nodes`."""

    start = serializers.IntegerField()
    nodes = serializers.ListField(
        child=serializers.DictField(),
        help_text="`kind`, `uuid`, `label`, `url`, and `column`: empty for the thing as a whole.",
    )
    edges = serializers.ListField(
        child=serializers.DictField(child=serializers.IntegerField()), help_text="`from` and `to`."
    )
    is_complete = serializers.BooleanField(help_text="False: there is more than is told.")


def _asked(request: Request, query: type[serializers.Serializer[Any]]) -> dict[str, Any]:
    serializer = query(data=request.query_params.dict())
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


def _names(query: type[serializers.Serializer[Any]]) -> frozenset[str]:
    return frozenset(query().fields)


class TraceViewSet(HouseViewSet[Project]):
    """One answered request, and all it stands on."""

    scope_noun = "projects"
    serializer_class = TraceSerializer
    queryset = Project.objects.none()
    pagination_class = None
    query_names = {"retrieve": _names(TraceQuery), "rows": _names(TraceRowsQuery)}

    @extend_schema(
        operation_id="traces_retrieve", parameters=[TraceQuery], responses=TraceSerializer
    )
    def retrieve(self, request: Request) -> Response:
        """From a request's id to release, model version, run, dataset version, pipeline run and
        sources. What is not captured, or not written yet (up to six seconds), is 404."""
        user: Any = request.user
        try:
            return Response(trace_request(user, **_asked(request, TraceQuery)))
        except NotCaptured as error:
            raise NotFound(error.message) from None

    @extend_schema(
        operation_id="traces_rows", parameters=[TraceRowsQuery], responses=TraceRowsSerializer
    )
    def rows(self, request: Request) -> Response:
        """The dataset row of a request's keys, and the pinned inputs' rows it was computed from."""
        user: Any = request.user
        asked = _asked(request, TraceRowsQuery)
        chosen = asked.pop("input", None)
        try:
            told = trace_rows(user, **asked, input_id=str(chosen) if chosen else "")
        except NotCaptured as error:
            raise NotFound(error.message) from None
        return Response(told)


class LineageViewSet(HouseViewSet[Project]):
    """Where columns come from and where they go, within your projects."""

    scope_noun = "projects"
    serializer_class = LineageSerializer
    queryset = Project.objects.none()
    pagination_class = None
    query_names = {"retrieve": _names(LineageQuery)}

    @extend_schema(
        operation_id="lineage_retrieve", parameters=[LineageQuery], responses=LineageSerializer
    )
    def retrieve(self, request: Request) -> Response:
        """All columns that come of one, or that it comes from: to features, to models' inputs."""
        user: Any = request.user
        return Response(walk_lineage(user, **_asked(request, LineageQuery)))


urlpatterns = [
    path("traces/", TraceViewSet.as_view({"get": "retrieve"}), name="traces"),
    path("traces/rows/", TraceViewSet.as_view({"get": "rows"}), name="trace-rows"),
    path("lineage/", LineageViewSet.as_view({"get": "retrieve"}), name="lineage"),
]
