"""From a source to a dataset's versions, by real jobs."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.utils import timezone

from apps.accounts.models import User
from apps.core.errors import Conflict
from apps.events.models import Event
from apps.jobs.models import Job, State
from apps.projects.models import Project, Role
from apps.schedules.models import Schedule
from apps.sources import services
from apps.sources.models import ColumnEdge, Dataset
from runtime.data.delta import open_dataset
from tests.factories import make_member, make_project
from tests.servers import wait_until
from tests.sources.making import (
    CSV,
    finish,
    make_dataset,
    make_source,
    make_upload,
    upload_definition,
)
from workers.tasks import advance

pytestmark = pytest.mark.django_db(transaction=True)


def make_filled(project: Project, content: bytes, form: Any = None) -> Dataset:
    upload = make_upload(project, content)
    return make_dataset(project, make_source(project, upload_definition(upload, form or CSV)))


def refill(dataset: Dataset, content: bytes) -> None:
    assert dataset.source
    upload = make_upload(dataset.project, content)
    dataset.source.definition = upload_definition(upload)
    dataset.source.save()


def test_ingest_makes_a_version_with_profile_and_lineage(project: Project, person: User) -> None:
    dataset = make_filled(project, b"a,b\n1,x\n2,\n")
    job = finish(services.launch_ingest(dataset, user=person))
    assert job.state == State.SUCCEEDED, job.message
    version = dataset.versions.get()
    assert version.columns == [{"name": "a", "type": "int64"}, {"name": "b", "type": "string"}]
    assert (version.number, version.row_count, version.job) == (0, 2, job)
    assert version.profile["columns"]["b"]["missing"] == 1
    assert open_dataset(str(dataset.path), 0).to_table()["a"].to_pylist() == [1, 2]
    edges = ColumnEdge.objects.filter(to_id=version.uuid).values_list("from_column", "to_column")
    assert sorted(edges) == [("a", "a"), ("b", "b")]
    assert "profile" not in job.outputs["datasets"]["orders"]
    assert Event.objects.filter(verb="dataset.version_added").count() == 1


def test_finishing_twice_records_once(project: Project, person: User) -> None:
    dataset = make_filled(project, b"a\n1\n")
    job = finish(services.launch_ingest(dataset, user=person))
    services.finish_ingest(job)
    assert dataset.versions.count() == 1
    assert ColumnEdge.objects.count() == 1


def test_job_cannot_tell_of_another_projects_dataset(project: Project, person: User) -> None:
    theirs = make_dataset(make_project(), slug="theirs")
    job = finish(services.launch_ingest(make_filled(project, b"a\n1\n"), user=person))
    said = {"commit_key": f"{job.pk}/x", "number": 0, "rows": 1, "size_bytes": 1, "columns": []}
    with pytest.raises(ValueError, match="cannot be its own"):
        services.record_version(
            theirs.uuid, said, job=job, origin_kind="source", origin_id=theirs.uuid
        )


def test_change_of_columns_is_refused_until_accepted(project: Project, person: User) -> None:
    dataset = make_filled(project, b"a,b,c\n1,x,2\n")
    finish(services.launch_ingest(dataset, user=person))
    refill(dataset, b"a,b,d\nlater,x,2\n")
    job = finish(services.launch_ingest(dataset, user=person))
    assert job.state == State.FAILED
    for part in ("new: d", "gone: c", "a (int64 → string)", "schema_change"):
        assert part in job.message
    assert [each.number for each in dataset.versions.all()] == [0]
    finish(services.launch_ingest(dataset, schema_change="accept", user=person))
    assert [each.number for each in dataset.versions.all()] == [1, 0]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "d.csv is empty"),
        (b"a,b\n1,2\n3\n", "Line 3 of d.csv has 1 value"),
        (os.urandom(5000), "d.csv"),
    ],
)
def test_bad_file_fails_the_job_and_leaves_the_dataset(
    project: Project, person: User, content: bytes, text: str
) -> None:
    dataset = make_filled(project, b"a,b\n1,2\n")
    finish(services.launch_ingest(dataset, user=person))
    refill(dataset, content)
    job = finish(services.launch_ingest(dataset, user=person))
    assert job.state == State.FAILED
    assert text in job.message
    assert open_dataset(str(dataset.path), 0).count_rows() == 1
    assert len(list(dataset.path.glob("*.parquet"))) == 1


def test_full_disk_fails_the_job_and_leaves_the_dataset(
    project: Project, person: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = make_filled(project, b"a\n1.5\n")
    finish(services.launch_ingest(dataset, user=person))
    numbers = "\n".join(str(number * 0.7310585786300049) for number in range(400_000))
    refill(dataset, f"a\n{numbers}\n".encode())
    monkeypatch.setattr(settings.ENV, "job_disk_mb", 1)
    job = finish(services.launch_ingest(dataset, user=person))
    assert job.state == State.FAILED
    assert "disk" in job.message
    assert len(list(dataset.path.glob("*.parquet"))) == 1
    assert dataset.versions.count() == 1


def test_killed_ingest_starts_again_and_writes_once(project: Project, person: User) -> None:
    dataset = make_filled(project, b"a,b\n" + b"1,2\n" * 1_500_000)
    job = services.launch_ingest(dataset, user=person)
    folder = Path(settings.VAR_DIR, "jobs", str(job.pk))
    advance([str(job.pk)])
    wait_until(lambda: any(dataset.path.glob("*.parquet")) or job_pids(folder), seconds=30)
    for pid in job_pids(folder):
        os.kill(pid, signal.SIGKILL)
    assert finish(job).state == State.SUCCEEDED, job.message
    assert dataset.versions.get().row_count == 1_500_000
    assert len(list(dataset.path.glob("*.parquet"))) == len(
        open_dataset(str(dataset.path), 0).files
    )


def job_pids(folder: Path) -> list[int]:
    """The job's runner, once it is there, whose death takes the process with it."""
    path = folder / "runner.json"
    return [int(json.loads(path.read_text())["pid"])] if path.exists() else []


def test_one_ingest_at_a_time_and_none_of_a_pipelines_dataset(
    project: Project, person: User
) -> None:
    dataset = make_filled(project, b"a\n1\n")
    services.launch_ingest(dataset, user=person)
    with pytest.raises(Conflict, match="is being ingested"):
        services.launch_ingest(dataset, user=person)
    with pytest.raises(Conflict, match="filled by pipelines"):
        services.launch_ingest(make_dataset(project, slug="features"), user=person)
    with pytest.raises(PermissionDenied):
        services.launch_ingest(dataset, user=make_member(project, Role.VIEWER))
    assert Job.objects.filter(kind="ingest").count() == 1


def test_schedule_ingests_as_its_principal(project: Project, person: User) -> None:
    dataset = make_filled(project, b"a\n1\n")
    schedule = Schedule.objects.create(
        project=project, slug="nightly", subject_kind="dataset", subject_id=dataset.uuid,
        subject_label="orders", interval_seconds=60, principal=person, next_run_at=timezone.now(),
    )  # fmt: skip
    job = services.launch_scheduled_ingest(schedule)
    assert (job.created_by, job.spec["schema_change"]) == (person, "refuse")


def test_folder_that_became_a_link_is_refused(project: Project, person: User, root: Path) -> None:
    (root / "in").mkdir()
    (root / "in" / "a.csv").write_text("a\n1\n")
    folder = {"kind": "folder", "path": "in", "pattern": "*.csv"}
    source = make_source(project, {"connection": folder, "format": CSV})
    job = services.launch_ingest(make_dataset(project, source), user=person)
    (root / "in").rename(root / "other")
    (root / "in").symlink_to("/etc")
    assert "leads elsewhere" in finish(job).message


def test_dataset_a_pipeline_writes_is_found_or_made(project: Project, person: User) -> None:
    made = services.ensure_dataset(project, "features", user=person)
    assert services.ensure_dataset(project, "features", user=person) == made
    filled = make_filled(project, b"a\n1\n")
    with pytest.raises(ValidationError, match="filled from a source"):
        services.ensure_dataset(project, filled.slug, user=person)
    with pytest.raises(ValidationError, match="no version yet"):
        services.get_version(project, "features")
