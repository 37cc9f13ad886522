"""Backups of the whole portal."""

import uuid

from django.db import models

from apps.jobs.models import Job


class Backup(models.Model):
    """An archive of database and lake, made by a job; the job's state is its only state.

    Filled in when the job has succeeded: `archive` (file name in `var/backups`), `size_bytes`,
    `sha256` of the archive, `row_count`, and the fingerprint of the key its secrets need.
    """

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    job = models.OneToOneField(Job, on_delete=models.CASCADE, related_name="backup")
    archive = models.CharField(max_length=255, blank=True)
    size_bytes = models.BigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True)
    row_count = models.BigIntegerField(default=0)
    key_fingerprint = models.CharField(max_length=12, blank=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.archive or "backup under way"
