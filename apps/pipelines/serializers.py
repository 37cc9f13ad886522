"""What REST says of pipelines, and takes."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.core.fields import SLUG_TEXT, document_text
from apps.core.viewsets import HouseSerializer
from apps.jobs.models import State
from apps.pipelines import definitions, services
from apps.pipelines.models import Pipeline, PipelineRun, PipelineVersion, StepRun
from apps.pipelines.previews import MAX_ROWS
from apps.projects.models import Project

DEFINITION = document_text(
    "pipeline",
    "A pipeline document: {“parameters”: {name: default}, “steps”: {name: {“operation”, …}}}. "
    "Steps name the steps they take rows from; a `read` begins, a `write` ends.",
)
PARAMETERS = "Values for the definition's parameters, by name; the rest have their defaults."


class AnyObject(serializers.DictField):
    """An object with keys of its own."""


class PipelineSerializer(serializers.ModelSerializer[Pipeline]):
    project = serializers.SlugRelatedField[Project](slug_field="slug", read_only=True)
    version = serializers.IntegerField(
        source="newest_number",
        read_only=True,
        allow_null=True,
        help_text="The newest version's number.",
    )
    version_uuid = serializers.UUIDField(
        source="newest_uuid", read_only=True, allow_null=True, help_text="The newest version."
    )

    class Meta:
        model = Pipeline
        fields = (
            "uuid", "project", "slug", "description", "version", "version_uuid", "created_at",
        )  # fmt: skip
        read_only_fields = fields


class NewPipelineSerializer(HouseSerializer):
    project = serializers.SlugField(help_text="The project's slug.")
    slug = serializers.CharField(max_length=48, help_text=SLUG_TEXT)
    description = serializers.CharField(max_length=2000, required=False, allow_blank=True)
    definition = AnyObject(help_text=DEFINITION)


class ChangePipelineSerializer(HouseSerializer):
    description = serializers.CharField(max_length=2000, allow_blank=True)


class NewPipelineVersionSerializer(HouseSerializer):
    definition = AnyObject(help_text=DEFINITION)


class PipelineVersionSerializer(serializers.ModelSerializer[PipelineVersion]):
    pipeline = serializers.UUIDField(source="pipeline.uuid", read_only=True)
    pipeline_slug = serializers.CharField(source="pipeline.slug", read_only=True)
    project = serializers.CharField(source="pipeline.project.slug", read_only=True)
    definition = AnyObject(read_only=True, help_text=DEFINITION)
    created_by = serializers.StringRelatedField[Any](read_only=True, allow_null=True)

    class Meta:
        model = PipelineVersion
        fields: tuple[str, ...] = (
            "uuid", "project", "pipeline", "pipeline_slug", "number", "digest", "definition",
            "created_by", "created_at",
        )  # fmt: skip
        read_only_fields: tuple[str, ...] = fields


class WholeVersionSerializer(PipelineVersionSerializer):
    """A version with its lineage and what is odd about it."""

    lineage = AnyObject(
        read_only=True,
        help_text="Step → column → [step or, for a read, dataset; column]. “” is the whole table. "
        "Steps whose columns are not known yet are missing until the first launch.",
    )
    warnings = serializers.SerializerMethodField()

    class Meta(PipelineVersionSerializer.Meta):
        fields = (*PipelineVersionSerializer.Meta.fields, "lineage", "warnings")
        read_only_fields = fields

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_warnings(self, row: PipelineVersion) -> list[str]:
        return definitions.warnings_of(row)


class ChangedPartSerializer(HouseSerializer):
    part = serializers.CharField(help_text="“parameters” or “step <name>”.")
    change = serializers.ChoiceField(["added", "removed", "changed"])
    text = serializers.CharField(help_text="Lines with “+ ”, “- ” or blanks in front.")


class DiffSerializer(HouseSerializer):
    old = serializers.IntegerField(help_text="The version compared with.")
    new = serializers.IntegerField(help_text="This version.")
    changes = ChangedPartSerializer(many=True)
    text = serializers.CharField(help_text="All changes as one text.")


class LaunchSerializer(HouseSerializer):
    parameters = AnyObject(required=False, help_text=PARAMETERS)
    version = serializers.IntegerField(
        required=False, min_value=1, help_text="Left out: the newest version."
    )
    inputs = serializers.DictField(
        child=serializers.IntegerField(min_value=0),
        required=False,
        help_text="Dataset slug to the number of the version to read, instead of the newest.",
    )


class PreviewSerializer(HouseSerializer):
    step = serializers.CharField(max_length=48, help_text="The step after which to look.")
    limit = serializers.IntegerField(default=50, min_value=1, max_value=MAX_ROWS)
    parameters = AnyObject(required=False, help_text=PARAMETERS)


class NewPreviewSerializer(PreviewSerializer):
    project = serializers.SlugField(help_text="The project's slug.")
    definition = AnyObject(help_text=DEFINITION)


class PreviewColumnSerializer(HouseSerializer):
    name = serializers.CharField()
    type = serializers.CharField(help_text="Arrow's name of the type.")


class PreviewAnswerSerializer(HouseSerializer):
    step = serializers.CharField()
    columns = PreviewColumnSerializer(many=True)
    rows = serializers.ListField(
        child=serializers.ListField(),
        help_text="Values in the order of `columns`.",
    )
    sampled = serializers.DictField(
        child=serializers.ListField(child=serializers.IntegerField()),
        help_text="Read steps whose data was cut, with [rows used, rows there]. Empty: none was.",
    )
    seconds = serializers.FloatField()


class StepRunSerializer(serializers.ModelSerializer[StepRun]):
    checks = serializers.ListField(
        child=AnyObject(),
        read_only=True,
        help_text="Of a check step, each rule: `rule`, `severity`, `is_held`, `breaches` (rows), "
        "`message`.",
    )

    class Meta:
        model = StepRun
        fields = (
            "position", "name", "operation", "state", "message", "rows_in", "rows_out",
            "size_bytes", "seconds", "checks",
        )  # fmt: skip
        read_only_fields = fields


class PinnedInputSerializer(HouseSerializer):
    name = serializers.CharField(help_text="The read step.")
    dataset = serializers.UUIDField()
    version = serializers.UUIDField(help_text="The dataset version.")


class PipelineRunSerializer(serializers.ModelSerializer[PipelineRun]):
    """A run; `state` is its job's."""

    project = serializers.CharField(source="version.pipeline.project.slug", read_only=True)
    pipeline = serializers.UUIDField(source="version.pipeline.uuid", read_only=True)
    pipeline_slug = serializers.CharField(source="version.pipeline.slug", read_only=True)
    version = serializers.UUIDField(source="version.uuid", read_only=True)
    version_number = serializers.IntegerField(source="version.number", read_only=True)
    inputs = PinnedInputSerializer(many=True, read_only=True)
    parameters = AnyObject(read_only=True, help_text="All of them, by name, as they were.")
    job = serializers.UUIDField(source="job_id", read_only=True)
    state = serializers.ChoiceField(State.choices, source="job.state", read_only=True)
    message = serializers.CharField(source="job.message", read_only=True)
    created_at = serializers.DateTimeField(source="job.created_at", read_only=True)
    started_at = serializers.DateTimeField(source="job.started_at", read_only=True, allow_null=True)
    finished_at = serializers.DateTimeField(
        source="job.finished_at", read_only=True, allow_null=True
    )

    class Meta:
        model = PipelineRun
        fields: tuple[str, ...] = (
            "uuid", "project", "pipeline", "pipeline_slug", "version", "version_number", "inputs",
            "parameters", "job", "state", "message", "created_at", "started_at", "finished_at",
        )  # fmt: skip
        read_only_fields: tuple[str, ...] = fields


class WrittenSerializer(HouseSerializer):
    dataset = serializers.UUIDField()
    dataset_slug = serializers.CharField()
    version = serializers.UUIDField(help_text="The dataset version.")
    number = serializers.IntegerField()
    rows = serializers.IntegerField()


class WholeRunSerializer(PipelineRunSerializer):
    """A run with its steps and what it wrote."""

    steps = StepRunSerializer(many=True, read_only=True)
    written = serializers.SerializerMethodField()

    class Meta(PipelineRunSerializer.Meta):
        fields = (*PipelineRunSerializer.Meta.fields, "steps", "written")
        read_only_fields = fields

    @extend_schema_field(WrittenSerializer(many=True))
    def get_written(self, row: PipelineRun) -> list[dict[str, Any]]:
        return services.written_by(row)
