"""The backup archive: a gzipped tar of the database's rows, and of the files they speak of.

```
manifest.json            version, migrations, key fingerprint, rows and SHA-256 of every member
rows/<app>.<model>.jsonl one row a line, as Django's serializer writes it: any database reads it
lake/… uploads/… artifacts/… models/… captures/…   files, as they lie in `var`
```
Keys are not in it, only the fingerprint of the newest: keep the key file apart from the archive.
"""

import hashlib
import json
import os
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core import serializers
from django.db import connection, models
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from apps.core.crypto import key_fingerprint

FORMAT = 1
# What rows speak of: datasets, uploaded files, what runs left, model packages, captured requests.
FOLDERS = ("lake", "uploads", "artifacts", "models", "captures")
# What a restored portal must not bring back: sign-ins, and notes of moments long gone.
LEFT_OUT = frozenset(
    {
        "auth.permission",
        "contenttypes.contenttype",
        "sessions.session",
        "usersessions.usersession",
        "core.idempotencykey",
        "jobs.host",
    }
)


@dataclass
class Manifest:
    format: int
    made_at: str
    key_fingerprint: str
    migrations: list[str]
    rows: dict[str, int] = field(default_factory=dict)
    sha256: dict[str, str] = field(default_factory=dict)

    @property
    def row_count(self) -> int:
        return sum(self.rows.values())


class ArchiveError(Exception):
    """The archive cannot be written or used. The message says why and what to do."""


def archived_models() -> list[type[models.Model]]:
    """Every model whose rows are kept, parents before what refers to them."""
    configs = [(config, None) for config in apps.get_app_configs()]
    ordered = serializers.sort_dependencies(configs, allow_cycles=True)
    return [m for m in ordered if m._meta.label_lower not in LEFT_OUT and m._meta.managed]


def applied_migrations() -> list[str]:
    applied = MigrationRecorder(connection).applied_migrations()
    return sorted(f"{app}.{name}" for app, name in applied)


def write_archive(path: Path, *, include_lake: bool, say: Callable[[str], None]) -> Manifest:
    """Write the archive whole or not at all: a draft beside `path`, renamed when it is on disk.

    Rows are read in one snapshot, so writers go on undisturbed and what is read fits together.
    """
    manifest = Manifest(
        format=FORMAT,
        made_at=timezone.now().isoformat(),
        key_fingerprint=key_fingerprint(settings.KEYS[0]),
        migrations=applied_migrations(),
    )
    draft = path.with_name(f".{path.name}.draft")
    rows = path.with_name(f".{path.name}.rows")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tarfile.open(draft, "w:gz", compresslevel=6) as tar:
            with _snapshot():
                for model in archived_models():
                    _add_rows(tar, model, rows, manifest, say)
            if include_lake:
                _add_lake(tar, manifest, say)
            rows.write_text(json.dumps(asdict(manifest), indent=1))
            tar.add(rows, "manifest.json")
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.chmod(0o600)
        draft.replace(path)
    except OSError as error:
        raise ArchiveError(
            f"The archive could not be written: {error.strerror}. Make room and try again."
        ) from error
    finally:
        for left in (draft, rows):
            if left.is_file():
                left.unlink()
    return manifest


@contextmanager
def _snapshot() -> Iterator[None]:
    """One consistent view of the database that blocks no writer.

    Not `atomic()`: on SQLite the portal's transactions begin IMMEDIATE and would lock others out.
    """
    is_postgres = connection.vendor == "postgresql"
    begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" if is_postgres else "BEGIN"
    with connection.cursor() as cursor:
        cursor.execute(begin)
        try:
            yield
        finally:
            cursor.execute("ROLLBACK")


def _add_rows(
    tar: tarfile.TarFile,
    model: type[models.Model],
    scratch: Path,
    manifest: Manifest,
    say: Callable[[str], None],
) -> None:
    label = model._meta.label_lower
    queryset = model._base_manager.order_by("pk")
    if label == "jobs.job":
        queryset = queryset.filter(is_ephemeral=False)
    elif label in ("jobs.jobevent", "jobs.joblog"):
        queryset = queryset.filter(job__is_ephemeral=False)
    with scratch.open("w", encoding="utf-8") as file:
        serializers.serialize("jsonl", queryset.iterator(chunk_size=2000), stream=file)
    with scratch.open(encoding="utf-8") as file:
        manifest.rows[label] = sum(1 for _ in file)
    _add_file(tar, scratch, f"rows/{label}.jsonl", manifest)
    if manifest.rows[label]:
        say(f"{label}: {manifest.rows[label]:,} rows")


def _add_lake(tar: tarfile.TarFile, manifest: Manifest, say: Callable[[str], None]) -> None:
    """The files of every folder. Rows were read before, so all that they speak of is there."""
    for name in FOLDERS:
        folder, count = settings.VAR_DIR / name, 0
        for path in sorted(folder.rglob("*")):
            if path.is_symlink() or not path.is_file():
                continue
            try:
                _add_file(tar, path, f"{name}/{path.relative_to(folder).as_posix()}", manifest)
            except FileNotFoundError:
                # A draft that became something else meanwhile: no row speaks of it yet.
                continue
            count += 1
        say(f"{name}: {count:,} files")


def _add_file(tar: tarfile.TarFile, path: Path, name: str, manifest: Manifest) -> None:
    digest = file_sha256(path)
    tar.add(path, name, recursive=False)
    manifest.sha256[name] = digest


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_manifest(path: Path) -> Manifest:
    """Read and check the whole archive: every member there, unharmed, and nothing else."""
    try:
        with tarfile.open(path, "r:gz") as tar:
            seen = {member.name: _digest(tar, member) for member in tar if member.isfile()}
            file = tar.extractfile("manifest.json")
            manifest = Manifest(**json.load(file)) if file else None
    except FileNotFoundError:
        raise ArchiveError(f"There is no archive at {path}.") from None
    except (tarfile.TarError, OSError, EOFError, KeyError, TypeError, ValueError):
        manifest = None
        seen = {}
    if manifest is None or manifest.format != FORMAT:
        raise ArchiveError(f"{path.name} is not a whole Portolan backup. Use another archive.")
    seen.pop("manifest.json")
    if seen != manifest.sha256:
        raise ArchiveError(f"{path.name} is damaged. Use another archive.")
    return manifest


def _digest(tar: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    file = tar.extractfile(member)
    digest = hashlib.sha256()
    while file and (block := file.read(1 << 20)):
        digest.update(block)
    return digest.hexdigest()


def row_batches(tar: tarfile.TarFile, label: str, size: int = 1000) -> Iterator[list[models.Model]]:
    """The archived rows of one model, ready to be saved, `size` at a time."""
    file = tar.extractfile(f"rows/{label}.jsonl")
    batch: list[Any] = []
    for row in serializers.deserialize("jsonl", file):
        batch.append(row.object)
        if len(batch) >= size:
            yield batch
            batch = []
    if batch:
        yield batch
