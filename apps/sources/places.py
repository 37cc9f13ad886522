"""Where a source's data lies: uploads, files under the site's roots, servers. All guards on what
users may point at are here and in `runtime.data.addresses`."""

import ipaddress
import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError

from apps.projects.models import Project
from apps.sources.models import Source, Upload
from runtime.documents.source import (
    FolderConnection,
    PostgresConnection,
    SourceDocument,
    SqliteConnection,
    UploadConnection,
)

PATH = "definition.connection.path"
OUTSIDE = (
    "This is not under a folder that sources may lie in. Ask a site admin which there are "
    "(PORTOLAN_FOLDER_ROOTS)."
)


def reach(source: Source, document: SourceDocument) -> dict[str, Any]:
    """What an engine needs to get at the data, as fields of its spec. Raise ValidationError."""
    connection = document.connection
    found: dict[str, Any] = {"path": "", "name": "", "secret": "", "allowed_hosts": []}
    if isinstance(connection, UploadConnection):
        upload = get_upload(source.project, connection)
        return {**found, "path": os.path.realpath(upload.path), "name": upload.name}
    if isinstance(connection, FolderConnection | SqliteConnection):
        return {**found, "path": str(find_path(connection, must_exist=True))}
    return {
        **found,
        "secret": f"source:{source.uuid}" if source.secret else "",
        "allowed_hosts": list(settings.ENV.allowed_private_hosts),
    }


def refuse_out_of_reach(project: Project, document: SourceDocument) -> None:
    """Raise ValidationError for what a source may never point at, whether it is there or not."""
    connection = document.connection
    if isinstance(connection, UploadConnection):
        get_upload(project, connection)
    elif isinstance(connection, FolderConnection | SqliteConnection):
        find_path(connection, must_exist=False)
    elif isinstance(connection, PostgresConnection):
        _refuse_address(connection.host)


def get_upload(project: Project, connection: UploadConnection) -> Upload:
    upload = Upload.objects.filter(project=project, uuid=connection.upload).first()
    if upload is None:
        text = (
            f"The project “{project.slug}” has no such upload. Uploads stay in the project they "
            "were sent to: send the file to this one, and name the upload that is answered."
        )
        raise ValidationError({"definition.connection.upload": text})
    return upload


def find_path(connection: FolderConnection | SqliteConnection, *, must_exist: bool) -> Path:
    """The path with every link resolved. It lies under an allowed root, and neither in nor around
    the portal's own folder; otherwise raise ValidationError, which does not tell what is there."""
    var = Path(os.path.realpath(settings.VAR_DIR))
    roots = [Path(os.path.realpath(root)) for root in settings.ENV.folder_roots]
    for root in roots:
        path = Path(os.path.realpath(root / connection.path))
        is_ours = path.is_relative_to(var) or var.is_relative_to(path)
        if is_ours or not path.is_relative_to(root):
            continue
        is_folder = isinstance(connection, FolderConnection)
        if path.is_dir() if is_folder else path.is_file():
            return path
        if not must_exist:
            return path
    if must_exist and any(_is_under(root, connection.path, var) for root in roots):
        what = "folder" if isinstance(connection, FolderConnection) else "file"
        raise ValidationError({PATH: f"There is no such {what} here. Check the path."})
    raise ValidationError({PATH: OUTSIDE})


def _is_under(root: Path, path: str, var: Path) -> bool:
    found = Path(os.path.realpath(root / path))
    return found.is_relative_to(root) and not found.is_relative_to(var)


def _refuse_address(host: str) -> None:
    """What an address written out already shows; names are looked up where they are used."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        raise ValidationError(
            {"definition.connection.host": f"{host} is an address no source may connect to."}
        )
