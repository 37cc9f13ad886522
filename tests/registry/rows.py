"""Runs and versions for tests, as rows; and runs with artifacts on disk, as a training leaves."""

import hashlib
import subprocess
import uuid
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from apps.accounts.models import User
from apps.experiments.models import Artifact, Experiment, Metric, Run
from apps.jobs.models import Job, State
from apps.projects.models import Project
from apps.registry.models import Alias, Model, ModelVersion
from apps.registry.services import PACKAGED, create_model, register_version
from apps.sources.models import Dataset, DatasetVersion
from apps.targets.services import get_local_target
from tests.registry.making import SIGNATURE
from tests.servers import wait_until
from workers.tasks import advance

TRAIN = Path(settings.ENV.environments_dir, "train", "bin", "python")
SCRIPT = Path(__file__).with_name("making.py")


def make_run_row(project: Project, user: User | None = None, **metrics: float) -> Run:
    """A run that has succeeded and claims to have left a model, with metrics `test_auc=…`."""
    dataset, _ = Dataset.objects.get_or_create(project=project, slug="features")
    version = DatasetVersion.objects.create(
        dataset=dataset,
        number=dataset.versions.count(),
        columns=[{"name": name, "type": "double"} for name in ("spend", "visits", "age", "week")],
        row_count=1,
        size_bytes=1,
        origin_kind="source",
        origin_id=uuid.uuid4(),
        commit_key=str(uuid.uuid4()),
    )
    experiment, _ = Experiment.objects.get_or_create(project=project, slug="churn")
    job = make_job(project, "train")
    run = Run.objects.create(
        experiment=experiment, job=job, name="logistic", definition={}, dataset_version=version,
        seed=0, created_by=user,
    )  # fmt: skip
    Artifact.objects.create(run=run, path=PACKAGED[0], size_bytes=1, sha256="0" * 64)
    for name, value in metrics.items():
        key = name.replace("_", ".")
        Metric.objects.create(run=run, key=key, value=value, is_last=True)
    return run


def make_job(project: Project, kind: str, state: State = State.SUCCEEDED) -> Job:
    ended = {} if not state.is_final else {"finished_at": timezone.now(), "next_poll_at": None}
    return Job.objects.create(
        project=project, target=get_local_target(), kind=kind, label=kind, state=state, **ended
    )


def make_version(
    model: Model, user: User | None = None, engine: str = "onnx", **metrics: float
) -> ModelVersion:
    """A version that is ready, without a package on disk."""
    return ModelVersion.objects.create(
        model=model,
        number=model.versions.count() + 1,
        run=make_run_row(model.project, None, **metrics),
        job=make_job(model.project, "register"),
        engine=engine,
        signature=SIGNATURE,
        conversion={"is_accepted": engine == "onnx", "reason": ""},
        created_by=user,
    )


def make_addressed(project: Project, user: User) -> dict[str, str]:
    """A model with a version, an alias and a run to register, by the names tests' addresses use."""
    model = create_model(project, slug="registered", user=user)
    version = make_version(model)
    Alias.objects.create(model=model, name="best", version=version)
    run = make_run_row(project, user)
    return {
        "model": str(model.uuid),
        "model_version": str(version.uuid),
        "registrable_run": str(run.uuid),
    }


def make_trained(project: Project, user: User, algorithm: str, rows: int = 1_500) -> Run:
    """A run whose artifacts a script in the training environment has left."""
    run = make_run_row(project, user)
    folder = run.artifact_path
    command = [str(TRAIN), str(SCRIPT), str(folder), algorithm, str(rows)]
    subprocess.run(command, check=True, capture_output=True)
    run.artifacts.all().delete()
    for path in folder.rglob("*"):
        if path.is_file():
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            name = str(path.relative_to(folder))
            Artifact.objects.create(run=run, path=name, size_bytes=1, sha256=digest)
    return run


def register(project: Project, user: User, run: Run) -> ModelVersion:
    """Register the run in model `churn` and take the worker's steps to the job's end."""
    model = Model.objects.filter(project=project, slug="churn").first()
    model = model or create_model(project, slug="churn", user=user)
    return finish(register_version(model, run=run, user=user))


def finish(version: ModelVersion) -> ModelVersion:
    def has_ended() -> bool:
        Job.objects.filter(pk=version.job_id, finished_at=None).update(next_poll_at=timezone.now())
        advance([str(version.job_id)])
        return Job.objects.get(pk=version.job_id).is_final

    wait_until(has_ended, seconds=60, what="the registration to end")
    return ModelVersion.objects.select_related("job", "model").get(pk=version.pk)
