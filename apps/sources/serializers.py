"""What REST takes and answers for uploads, sources and datasets."""

from rest_framework import serializers

from apps.core.fields import SLUG_TEXT, document_text
from apps.core.viewsets import HouseSerializer
from apps.sources.models import Dataset, DatasetVersion, Source, Upload

PROJECT = "The project's slug."
DEFINITION = document_text(
    "source",
    "A source document: `connection` (by `kind`: upload, folder, sqlite or postgresql), `format` "
    "(csv, jsonl or parquet; databases have none) and `columns`.",
)


class UploadSerializer(serializers.ModelSerializer[Upload]):
    project = serializers.SlugField(source="project.slug", read_only=True)

    class Meta:
        model = Upload
        fields = ("uuid", "project", "name", "size_bytes", "sha256", "created_at")
        read_only_fields = fields


class NewUploadSerializer(HouseSerializer):
    project = serializers.SlugField(help_text=PROJECT)
    file = serializers.FileField(max_length=255, help_text="The file, with its name.")


class SourceSerializer(serializers.ModelSerializer[Source]):
    """A source. Its secret is never shown."""

    project = serializers.SlugField(source="project.slug", read_only=True)
    definition = serializers.DictField(read_only=True, help_text=DEFINITION)
    has_secret = serializers.SerializerMethodField()

    class Meta:
        model = Source
        fields = (
            "uuid", "project", "slug", "description", "definition", "has_secret", "created_at",
            "updated_at",
        )  # fmt: skip
        read_only_fields = fields

    def get_has_secret(self, source: Source) -> bool:
        return bool(source.secret)


class NewSourceSerializer(HouseSerializer):
    project = serializers.SlugField(help_text=PROJECT)
    slug = serializers.CharField(max_length=48, help_text=SLUG_TEXT)
    description = serializers.CharField(max_length=2000, required=False, allow_blank=True)
    definition = serializers.DictField(help_text=DEFINITION)
    secret = serializers.CharField(
        max_length=1000,
        required=False,
        allow_blank=True,
        trim_whitespace=False,
        help_text="A database's password. Kept encrypted, never shown.",
    )


class ChangeSourceSerializer(HouseSerializer):
    description = serializers.CharField(max_length=2000, required=False, allow_blank=True)
    definition = serializers.DictField(required=False, help_text=DEFINITION)
    secret = serializers.CharField(
        max_length=1000,
        required=False,
        allow_blank=True,
        trim_whitespace=False,
        help_text="A new password; empty takes the old one away.",
    )


class ColumnSerializer(serializers.Serializer[dict[str, str]]):
    name = serializers.CharField()
    type = serializers.CharField(help_text="An Arrow type, such as int64, double, string.")


class RowsSerializer(serializers.Serializer[dict[str, object]]):
    """Rows as objects by column. `is_cut`: more fit what was asked than an answer may hold."""

    rows = serializers.ListField(child=serializers.DictField(), help_text="Values by column.")
    is_cut = serializers.BooleanField()


class SourcePreviewSerializer(RowsSerializer):
    columns = ColumnSerializer(many=True)


class DatasetSerializer(serializers.ModelSerializer[Dataset]):
    """A dataset. `version` is the number of its latest, null while it has none."""

    project = serializers.SlugField(source="project.slug", read_only=True)
    source = serializers.SerializerMethodField()  # type: ignore[assignment]
    version = serializers.SerializerMethodField()
    version_uuid = serializers.SerializerMethodField()

    class Meta:
        model = Dataset
        fields = (
            "uuid", "project", "slug", "description", "source", "version", "version_uuid",
            "created_at",
        )  # fmt: skip
        read_only_fields = fields

    def get_source(self, dataset: Dataset) -> str | None:
        return dataset.source.slug if dataset.source else None

    def get_version(self, dataset: Dataset) -> int | None:
        return getattr(dataset, "version", None)

    def get_version_uuid(self, dataset: Dataset) -> str | None:
        found = getattr(dataset, "version_uuid", None)
        return str(found) if found else None


class NewDatasetSerializer(HouseSerializer):
    project = serializers.SlugField(help_text=PROJECT)
    slug = serializers.CharField(max_length=48, help_text=SLUG_TEXT)
    description = serializers.CharField(max_length=2000, required=False, allow_blank=True)
    source = serializers.SlugField(  # type: ignore[assignment]
        required=False, help_text="The source's slug. Left out, pipelines fill the dataset."
    )


class IngestSerializer(HouseSerializer):
    schema_change = serializers.ChoiceField(
        ["refuse", "accept"],
        default="refuse",
        help_text="What to do when the source's columns are not those of the last version.",
    )


class DatasetVersionSerializer(serializers.ModelSerializer[DatasetVersion]):
    """A version: `number` is its place in the dataset, from 0. `origin_kind` and `origin_id` name
    the source or pipeline run it came from, `inputs` the versions it was made of."""

    project = serializers.SlugField(source="dataset.project.slug", read_only=True)
    dataset = serializers.SlugField(source="dataset.slug", read_only=True)
    dataset_uuid = serializers.UUIDField(source="dataset.uuid", read_only=True)
    columns = ColumnSerializer(many=True, read_only=True)
    inputs = serializers.ListField(
        child=serializers.DictField(),
        read_only=True,
        help_text="The dataset versions it was made of: `name`, `dataset` and `version` (uuids).",
    )
    job = serializers.UUIDField(source="job_id", read_only=True, allow_null=True)

    class Meta:
        model = DatasetVersion
        fields = (
            "uuid", "project", "dataset", "dataset_uuid", "number", "row_count", "size_bytes",
            "columns", "origin_kind", "origin_id", "inputs", "job", "created_at",
        )  # fmt: skip
        read_only_fields = fields


class DatasetVersionDetailSerializer(DatasetVersionSerializer):
    profile = serializers.DictField(
        read_only=True,
        help_text="`rows`, and `columns` by name: type, count, missing, distinct, min, max, mean, "
        "quantiles, histogram (edges, counts) and top ([value, count] pairs), as far as the type "
        "has them. docs/data.md explains each.",
    )

    class Meta(DatasetVersionSerializer.Meta):
        fields = (*DatasetVersionSerializer.Meta.fields, "profile")  # type: ignore[assignment]
        read_only_fields = fields  # type: ignore[assignment]
