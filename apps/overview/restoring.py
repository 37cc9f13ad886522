"""Bringing a backup back: everything or nothing."""

import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.core.management.color import no_style
from django.db import connection, transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.core.crypto import key_fingerprint
from apps.events.services import record_event
from apps.jobs.models import Job, JobEvent, State
from apps.overview.archive import (
    FOLDERS,
    ArchiveError,
    Manifest,
    applied_migrations,
    archived_models,
    read_manifest,
    row_batches,
)


def restore_archive(
    path: Path, *, is_replacing: bool, accepts_other_key: bool, say: Callable[[str], None]
) -> Manifest:
    """Put the archive's rows and files in place of what is here. The portal must not be running.

    Raise ArchiveError, with nothing changed, when the archive is damaged, belongs to another
    version or key, or would replace data without being told to. Killed half way, it is run again.
    """
    manifest = read_manifest(path)
    _refuse(manifest, is_replacing=is_replacing, accepts_other_key=accepts_other_key)
    fresh = settings.VAR_DIR / "files.restoring"
    shutil.rmtree(fresh, ignore_errors=True)
    with tarfile.open(path, "r:gz") as tar:
        _extract_files(tar, fresh, say)
        _load_rows(tar, manifest, path.name, say)
    _swap_files(fresh)
    return manifest


def _refuse(manifest: Manifest, *, is_replacing: bool, accepts_other_key: bool) -> None:
    if manifest.migrations != applied_migrations():
        raise ArchiveError(
            "The backup was made by another version of Portolan. Restore it with the version that "
            "made it, then upgrade."
        )
    if (
        manifest.key_fingerprint not in map(key_fingerprint, settings.KEYS)
        and not accepts_other_key
    ):
        raise ArchiveError(
            f"The backup's secrets were encrypted under the key {manifest.key_fingerprint}, which "
            "is not among this portal's. Put that key file in place, or repeat with --other-key: "
            "people will then have to set up two-factor sign-in again."
        )
    if User.objects.exists() and not is_replacing:
        raise ArchiveError(
            "This portal has data. Repeat with --replace to put the backup in its place."
        )


def _extract_files(tar: tarfile.TarFile, folder: Path, say: Callable[[str], None]) -> None:
    members = [each for each in tar if each.isfile() and each.name.split("/")[0] in FOLDERS]
    for member in members:
        tar.extract(member, folder, filter="data")
    say(f"{len(members):,} files")


def _swap_files(fresh: Path) -> None:
    for name in FOLDERS:
        place, old = settings.VAR_DIR / name, settings.VAR_DIR / f"{name}.replaced"
        shutil.rmtree(old, ignore_errors=True)
        if place.exists():
            place.rename(old)
        if (fresh / name).exists():
            (fresh / name).rename(place)
        shutil.rmtree(old, ignore_errors=True)
    shutil.rmtree(fresh, ignore_errors=True)


@transaction.atomic
def _load_rows(
    tar: tarfile.TarFile, manifest: Manifest, name: str, say: Callable[[str], None]
) -> None:
    kept = archived_models()
    for model in reversed(kept):
        model._base_manager.all().delete()
    for model in kept:
        label = model._meta.label_lower
        for batch in row_batches(tar, label) if manifest.rows.get(label) else ():
            model._base_manager.bulk_create(batch)
        if manifest.rows.get(label):
            say(f"{label}: {manifest.rows[label]:,} rows")
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), kept):
            cursor.execute(statement)
    _end_unfinished(manifest)
    record_event(
        "portal.restored", actor=None, kind="backup", id=name, label=name,
        after={"made_at": manifest.made_at, "rows": manifest.row_count},
    )  # fmt: skip


def _end_unfinished(manifest: Manifest) -> None:
    """Jobs that were under way when the backup was made are over: their fate is not in it."""
    text = f"Under way when the backup of {manifest.made_at[:16]} was made. Launch it again."
    unfinished = list(Job.objects.filter(finished_at__isnull=True))
    JobEvent.objects.bulk_create(
        JobEvent(job=job, state=State.FAILED, message=text) for job in unfinished
    )
    Job.objects.filter(finished_at__isnull=True).update(
        state=State.FAILED,
        message=text,
        finished_at=timezone.now(),
        next_poll_at=None,
        claim=None,
        sent_at=None,
    )
