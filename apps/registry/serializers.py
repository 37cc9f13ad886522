"""What REST takes and answers of models and versions."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.core.fields import SLUG_LENGTH, SLUG_TEXT, document_text
from apps.core.viewsets import HouseSerializer
from apps.experiments.reading import last_metrics
from apps.jobs.models import State
from apps.registry.lists import ENGINES
from apps.registry.models import Alias, AliasChange, Approval, Model, ModelVersion
from apps.registry.services import features_of

POLICY = document_text(
    "policy",
    "What a version needs to be approved: not_by_author, needs_onnx, and gates such as "
    '{"metric": "test.auc", "at_least": 0.8} or {"metric": "test.auc", "better_than": "champion"}.',
)


class PointedAliasSerializer(serializers.ModelSerializer[Alias]):
    version = serializers.UUIDField(source="version.uuid", read_only=True)
    number = serializers.IntegerField(source="version.number", read_only=True)

    class Meta:
        model = Alias
        fields = ("name", "version", "number")
        read_only_fields = fields


class ModelSerializer(serializers.ModelSerializer[Model]):
    project = serializers.SlugField(source="project.slug", read_only=True)
    policy = serializers.DictField(read_only=True, help_text=POLICY)
    aliases = PointedAliasSerializer(many=True, read_only=True)

    class Meta:
        model = Model
        fields = ("uuid", "project", "slug", "description", "policy", "aliases", "created_at")
        read_only_fields = fields


class NewModelSerializer(HouseSerializer):
    project = serializers.SlugField(help_text="The project's slug.")
    slug = serializers.CharField(max_length=SLUG_LENGTH, help_text=SLUG_TEXT)
    description = serializers.CharField(max_length=2000, required=False, allow_blank=True)
    policy = serializers.DictField(required=False, help_text=POLICY)


class ChangeModelSerializer(HouseSerializer):
    description = serializers.CharField(max_length=2000, required=False, allow_blank=True)
    policy = serializers.DictField(required=False, help_text=POLICY)


class AliasSerializer(HouseSerializer):
    name = serializers.CharField(max_length=SLUG_LENGTH, help_text="Such as champion.")
    version = serializers.UUIDField(help_text="The version's uuid.")


class RemovedAliasSerializer(HouseSerializer):
    name = serializers.CharField(max_length=SLUG_LENGTH)


class PointerSerializer(serializers.Serializer[Any]):
    """What an alias pointed to then, since when, and who pointed it there."""

    name = serializers.SlugField()
    version = serializers.UUIDField(source="version.uuid")
    number = serializers.IntegerField(source="version.number")
    since = serializers.DateTimeField()
    changed_by = serializers.CharField()


class AliasChangeSerializer(serializers.ModelSerializer[AliasChange]):
    """`version` is null where the alias was taken away."""

    version = serializers.UUIDField(source="version.uuid", read_only=True, allow_null=True)
    number = serializers.IntegerField(source="version.number", read_only=True, allow_null=True)
    changed_by = serializers.StringRelatedField[Any](read_only=True, allow_null=True)

    class Meta:
        model = AliasChange
        fields = ("name", "version", "number", "changed_by", "changed_at")
        read_only_fields = fields

    def to_representation(self, instance: AliasChange) -> dict[str, Any]:
        version = instance.version
        return {
            "name": instance.name,
            "version": str(version.uuid) if version else None,
            "number": version.number if version else None,
            "changed_by": str(instance.changed_by) if instance.changed_by else None,
            "changed_at": instance.changed_at,
        }


class HistorySerializer(serializers.Serializer[Any]):
    """`aliases`: what each pointed to at `at`. `changes`: up to then, newest first."""

    at = serializers.DateTimeField()
    aliases = PointerSerializer(many=True)
    changes = AliasChangeSerializer(many=True)


class NewVersionSerializer(HouseSerializer):
    project = serializers.SlugField(help_text="The project's slug.")
    model = serializers.SlugField(help_text="The model's slug.")
    run = serializers.UUIDField(help_text="A run of the project that has succeeded.")


class ReasonSerializer(HouseSerializer):
    reason = serializers.CharField(max_length=2000, help_text="Why, for those who look later.")


class ApprovalSerializer(serializers.ModelSerializer[Approval]):
    """A verdict. `evidence` has the policy as it was, and each finding."""

    version = serializers.UUIDField(source="version.uuid", read_only=True)
    evidence = serializers.DictField(
        read_only=True,
        help_text="`policy`, and `findings`: rule, is_met, text, value, limit of each.",
    )
    created_by = serializers.StringRelatedField[Any](read_only=True, allow_null=True)

    class Meta:
        model = Approval
        fields = ("uuid", "version", "verdict", "reason", "evidence", "created_by", "created_at")
        read_only_fields = fields


class VersionSerializer(serializers.ModelSerializer[ModelVersion]):
    """A version; `state` is its job's. `engine` is there once it is ready: `onnx`, or `native`
    where `conversion` says why not."""

    project = serializers.SlugField(source="model.project.slug", read_only=True)
    model = serializers.SlugField(source="model.slug", read_only=True)
    model_uuid = serializers.UUIDField(source="model.uuid", read_only=True)
    run = serializers.UUIDField(source="run.uuid", read_only=True)
    job = serializers.UUIDField(source="job_id", read_only=True)
    state = serializers.ChoiceField(State.choices, source="job.state", read_only=True)
    message = serializers.CharField(source="job.message", read_only=True)
    engine = serializers.ChoiceField(("", *ENGINES), read_only=True)
    conversion = serializers.DictField(
        read_only=True,
        help_text="To ONNX: is_accepted, reason, rows compared, max_abs_difference, labels_equal. "
        "Empty until the job has succeeded.",
    )
    aliases = serializers.SerializerMethodField()
    created_by = serializers.StringRelatedField[Any](read_only=True, allow_null=True)
    started_at = serializers.DateTimeField(source="job.started_at", read_only=True, allow_null=True)
    finished_at = serializers.DateTimeField(
        source="job.finished_at", read_only=True, allow_null=True
    )

    class Meta:
        model = ModelVersion
        fields = (
            "uuid", "project", "model", "model_uuid", "number", "run", "job", "state", "message",
            "engine", "conversion", "verdict", "aliases", "created_by", "created_at", "started_at",
            "finished_at",
        )  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_aliases(self, version: ModelVersion) -> list[str]:
        return sorted(each.name for each in version.aliases.all())


class VersionLineageSerializer(serializers.Serializer[Any]):
    """What a version stands on."""

    run = serializers.UUIDField()
    run_name = serializers.CharField()
    experiment = serializers.SlugField()
    dataset = serializers.SlugField()
    dataset_version = serializers.UUIDField()
    dataset_version_number = serializers.IntegerField()
    features = serializers.ListField(child=serializers.CharField())


class VersionTrainingSerializer(serializers.Serializer[Any]):
    """What it learned to tell, how rows were split, how well it did, and how well naive baselines
    did on the same rows."""

    target = serializers.CharField()
    task = serializers.CharField()
    positive = serializers.CharField(allow_null=True)
    algorithm = serializers.CharField()
    split = serializers.DictField(
        help_text="`split` of the training, as in /api/v1/document-schemas/training/."
    )
    metrics = serializers.DictField(
        child=serializers.FloatField(), help_text="Such as test.auc: the split, then the metric."
    )
    baselines = serializers.DictField(
        child=serializers.FloatField(),
        help_text="Such as prior.auc: the baseline or single column, then the metric.",
    )


class VersionDetailSerializer(VersionSerializer):
    """With its signature, an example of its input, the package's files by SHA-256, its approvals,
    newest first, its lineage, and its scores beside those of naive baselines."""

    signature = serializers.DictField(
        read_only=True,
        help_text="`task`; `inputs`: name, kind (number, integer, boolean, category), is_nullable, "
        "categories; `keys`: name, kind. Endpoints take rows of these. Empty until it is ready.",
    )
    input_example = serializers.ListField(
        child=serializers.DictField(),
        read_only=True,
        help_text="Up to five rows, as an endpoint takes them.",
    )
    files = serializers.DictField(
        child=serializers.CharField(), read_only=True, help_text="Path to SHA-256."
    )
    approvals = ApprovalSerializer(many=True, read_only=True)
    lineage = serializers.SerializerMethodField()
    training = serializers.SerializerMethodField()

    class Meta(VersionSerializer.Meta):
        fields = (  # type: ignore[assignment]
            *VersionSerializer.Meta.fields, "signature", "input_example", "files", "approvals",
            "lineage", "training",
        )  # fmt: skip
        read_only_fields = fields  # type: ignore[assignment]

    @extend_schema_field(VersionLineageSerializer)
    def get_lineage(self, version: ModelVersion) -> dict[str, Any]:
        run = version.run
        data = run.dataset_version
        return {
            "run": str(run.uuid),
            "run_name": run.name,
            "experiment": run.experiment.slug,
            "dataset": data.dataset.slug,
            "dataset_version": str(data.uuid),
            "dataset_version_number": data.number,
            "features": features_of(version),
        }

    @extend_schema_field(VersionTrainingSerializer)
    def get_training(self, version: ModelVersion) -> dict[str, Any]:
        definition = version.run.definition
        found = {each.key: each.value for each in last_metrics(version.run)}
        is_score = {key: key.startswith(("validation.", "test.", "fold.")) for key in found}
        told = {name: str(definition.get(name, "")) for name in ("target", "task", "algorithm")}
        return {
            **told,
            "positive": definition.get("positive"),
            "split": definition.get("split", {}),
            "metrics": {key: value for key, value in found.items() if is_score[key]},
            "baselines": {
                key.removeprefix("baseline."): value
                for key, value in found.items()
                if key.startswith("baseline.")
            },
        }
