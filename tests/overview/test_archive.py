"""Backups and restoring: by the commands, on real files."""

import json
import tarfile
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import Settings

from apps.accounts.models import User
from apps.events.models import Event
from apps.jobs.models import Host, Job, State
from apps.projects.models import Member, Project, Role
from apps.targets.services import get_local_target
from tests.factories import make_member, make_project, make_user

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def var(settings: Settings, tmp_path: Path) -> Path:
    settings.VAR_DIR = tmp_path
    return tmp_path


def run(command: str, *arguments: str) -> str:
    said = StringIO()
    call_command(command, *arguments, stdout=said)
    return said.getvalue()


def back_up(name: str = "a.tar.gz") -> Path:
    run("backup", "--archive", name)
    return Path(settings.VAR_DIR) / "backups" / name


def make_rows() -> tuple[Project, User]:
    project = make_project(name="Zürich — Ünïcode")
    return project, make_member(project, Role.OWNER)


def test_restored_portal_has_the_rows_and_the_lake(var: Path) -> None:
    project, owner = make_rows()
    (var / "lake" / "d").mkdir(parents=True)
    (var / "lake" / "d" / "part.parquet").write_bytes(b"\x00\x01rows")
    (var / "models" / "m").mkdir(parents=True)
    (var / "models" / "m" / "model.onnx").write_bytes(b"weights")
    archive = back_up()
    Project.objects.all().delete()
    make_user(email="later@example.com")
    (var / "lake" / "d" / "part.parquet").write_bytes(b"changed")
    (var / "models" / "m" / "model.onnx").unlink()
    (var / "lake" / "d" / "new").touch()
    run("restore", str(archive), "--replace")
    back = Project.objects.get()
    assert (back.uuid, back.name) == (project.uuid, project.name)
    assert Member.objects.get().user.email == owner.email
    assert not User.objects.filter(email="later@example.com").exists()
    assert (var / "lake" / "d" / "part.parquet").read_bytes() == b"\x00\x01rows"
    assert not (var / "lake" / "d" / "new").exists()
    assert (var / "models" / "m" / "model.onnx").read_bytes() == b"weights"
    assert Event.objects.filter(verb="portal.restored").count() == 1


def test_new_rows_after_a_restore_get_new_ids(var: Path) -> None:
    make_rows()
    run("restore", str(back_up()), "--replace")
    assert make_project().pk > Project.objects.order_by("pk")[0].pk


def test_unfinished_jobs_come_back_as_over(var: Path) -> None:
    Job.objects.create(target=get_local_target(), kind="check", label="Under way")
    run("restore", str(back_up()), "--replace")
    job = Job.objects.get()
    assert (job.state, job.next_poll_at) == (State.FAILED, None)
    assert "Launch it again" in job.message
    assert job.events.count() == 1


def test_nothing_is_replaced_without_being_told_to(var: Path) -> None:
    make_rows()
    archive = back_up()
    with pytest.raises(CommandError, match="--replace"):
        run("restore", str(archive))


def test_archive_under_another_key_is_refused(var: Path, settings: Settings) -> None:
    make_rows()
    archive = back_up()
    settings.KEYS = ["another-key-altogether"]
    with pytest.raises(CommandError, match="--other-key"):
        run("restore", str(archive), "--replace")
    run("restore", str(archive), "--replace", "--other-key")


def rewrite(archive: Path, change: dict[str, Any]) -> None:
    with tarfile.open(archive) as tar:
        tar.extractall(archive.parent / "open", filter="data")
    manifest = archive.parent / "open" / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), **change}))
    with tarfile.open(archive, "w:gz") as tar:
        for path in sorted((archive.parent / "open").rglob("*")):
            tar.add(path, str(path.relative_to(archive.parent / "open")), recursive=False)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"migrations": ["accounts.0099_later"]}, "another version"),
        ({"format": 2}, "not a whole Portolan backup"),
        ({"sha256": {}}, "damaged"),
        ({"surprise": 1}, "not a whole Portolan backup"),
    ],
)
def test_archive_that_does_not_fit_changes_nothing(change: dict[str, Any], says: str) -> None:
    project, _ = make_rows()
    archive = back_up()
    rewrite(archive, change)
    with pytest.raises(CommandError, match=says):
        run("restore", str(archive), "--replace")
    assert Project.objects.get() == project


def test_torn_archive_is_refused(var: Path) -> None:
    make_rows()
    archive = back_up()
    archive.write_bytes(archive.read_bytes()[:-200])
    with pytest.raises(CommandError, match="not a whole Portolan backup"):
        run("restore", str(archive), "--replace")
    with pytest.raises(CommandError, match="There is no archive"):
        run("restore", str(archive) + ".missing", "--replace")


def test_restore_waits_for_nobody_but_says_who_is_there(var: Path) -> None:
    make_rows()
    archive = back_up()
    Host.objects.create(name="other-machine", seen_at=timezone.now())
    with pytest.raises(CommandError, match="worker is running"):
        run("restore", str(archive), "--replace")


def test_archive_has_no_key_and_no_session(var: Path) -> None:
    make_rows()
    with tarfile.open(back_up()) as tar:
        names = tar.getnames()
        text = b"".join(f.read() for m in tar if (f := tar.extractfile(m)))
    assert "rows/sessions.session.jsonl" not in names
    assert settings.KEYS[0].encode() not in text


def test_archive_that_cannot_be_written_says_so_and_leaves_nothing(var: Path) -> None:
    (var / "backups").write_text("a file where the folder should be")
    with pytest.raises(CommandError, match="could not be written"):
        run("backup", "--archive", "a.tar.gz")
    assert list(var.glob("**/*.tar.gz*")) == []
