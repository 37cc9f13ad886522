"""Uploads: streamed to disk in blocks, hashed on the way, there whole or not at all."""

import hashlib
import os
import time
import uuid as uuids
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler
from django.db import transaction
from rest_framework import exceptions, status

from apps.accounts.models import User
from apps.core.errors import Conflict
from apps.events.services import record_event
from apps.projects.models import Project, Role
from apps.projects.services import require_open, require_role
from apps.sources.models import Upload

MB = 1024 * 1024
# What a form's other fields and its own marks may come to beside the file.
SPARE = MB
ABANDONED_SECONDS = 24 * 3600


class UploadTooLarge(exceptions.APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_code = "content_too_large"

    def __init__(self) -> None:
        super().__init__(
            f"The file is larger than {settings.ENV.upload_max_mb:,} MB. Split it, or have a site "
            "admin put it into a folder that sources may read."
        )


class StoredUpload(UploadedFile):
    """A file that has come in whole: where it lies for now, and its SHA-256."""

    def __init__(self, path: Path, *, name: str, size: int, sha256: str) -> None:
        super().__init__(name=name, size=size)
        self.path, self.sha256 = path, sha256


class DiskHandler(FileUploadHandler):
    """Writes files straight to `var/uploads/incoming`. `close` removes all that nobody took."""

    chunk_size = MB

    def __init__(self, request: Any) -> None:
        super().__init__(request)
        self.paths: list[Path] = []
        self.total = 0
        self._out: BinaryIO | None = None

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        folder = incoming_folder()
        path = folder / uuids.uuid4().hex
        self.paths.append(path)
        self._digest = hashlib.sha256()
        try:
            self._out = path.open("xb", buffering=0)
        except OSError as error:
            raise _no_room(error) from None

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self.total += len(raw_data)
        if self.total > settings.ENV.upload_max_mb * MB:
            raise UploadTooLarge
        self._digest.update(raw_data)
        try:
            _write_all(cast("BinaryIO", self._out), raw_data)
        except OSError as error:
            raise _no_room(error) from None

    def file_complete(self, file_size: int) -> StoredUpload:
        out = cast("BinaryIO", self._out)
        try:
            os.fsync(out.fileno())
        except OSError as error:
            raise _no_room(error) from None
        out.close()
        digest = self._digest.hexdigest()
        return StoredUpload(
            self.paths[-1], name=self.file_name or "", size=file_size, sha256=digest
        )

    def close(self) -> None:
        if self._out is not None:
            self._out.close()
        for path in self.paths:
            path.unlink(missing_ok=True)


def refuse_large(request: Any) -> None:
    """Say no before anything is read, where the request itself says how long it is."""
    text = request.META.get("CONTENT_LENGTH") or "0"
    if text.isdigit() and int(text) > settings.ENV.upload_max_mb * MB + SPARE:
        raise UploadTooLarge


def _write_all(out: BinaryIO, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[out.write(view) :]


def _no_room(error: OSError) -> Conflict:
    return Conflict(
        f"The file could not be kept ({error.strerror}), and nothing of it was. Ask a site admin "
        "to make room, then send it again."
    )


def incoming_folder() -> Path:
    """Where files lie while they come in; what was left there by a killed process goes."""
    folder = Path(settings.VAR_DIR, "uploads", "incoming")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in folder.iterdir():
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < time.time() - ABANDONED_SECONDS:
                path.unlink()
    return folder


@transaction.atomic
def keep_upload(project: Project, file: StoredUpload, *, user: User) -> Upload:
    """Make an incoming file the project's. Contributors only."""
    require_role(user, project, Role.CONTRIBUTOR)
    require_open(project)
    upload = Upload(
        project=project,
        name=file.name or "",
        size_bytes=file.size or 0,
        sha256=file.sha256,
        created_by=user,
    )
    upload.full_clean(exclude=["created_by"])
    upload.save()
    record_event(
        "upload.created",
        actor=user,
        kind="upload",
        id=upload.uuid,
        label=upload.name,
        project_id=project.uuid,
        after={"size_bytes": upload.size_bytes, "sha256": upload.sha256},
    )
    upload.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Last, so that a row that cannot be written leaves no file.
    file.path.rename(upload.path)
    return upload
