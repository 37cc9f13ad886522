"""What concerns the portal as a whole: backing it up."""

import secrets
from dataclasses import asdict

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.core.crypto import key_fingerprint
from apps.jobs.models import Job, State
from apps.jobs.services import create_job
from apps.overview.models import Backup
from apps.targets.services import get_local_target
from runtime.definitions import BackupSpec


@transaction.atomic
def back_up_portal(user: User, *, include_lake: bool = True) -> Backup:
    """Launch a backup of the whole portal. Site admins only; writers are not disturbed."""
    if not user.is_site_admin:
        raise PermissionDenied("Only a site admin can back up the portal.")
    name = f"portolan-{timezone.now():%Y%m%d-%H%M%S}-{secrets.token_hex(3)}.tar.gz"
    job = create_job(
        "backup",
        spec=asdict(BackupSpec(archive=name, include_lake=include_lake)),
        target=get_local_target(),
        user=user,
        label="Back up the portal",
    )
    return Backup.objects.create(
        job=job, archive=name, key_fingerprint=key_fingerprint(settings.KEYS[0])
    )


def finish_backup(job: Job) -> None:
    """Note what the ended job says of its archive. In the transaction that ends the job."""
    if job.state != State.SUCCEEDED:
        return
    said = job.outputs
    Backup.objects.filter(job=job).update(
        size_bytes=int(said.get("size_bytes", 0)),
        sha256=str(said.get("sha256", "")),
        row_count=int(said.get("row_count", 0)),
        key_fingerprint=str(said.get("key_fingerprint", ""))[:12],
    )
