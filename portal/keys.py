"""The portal's secret keys: made at first start, kept in files only the portal may read.

The first key signs and encrypts; the others still verify and decrypt, so a key is rotated by
putting a new one in front. This module is imported by the settings, so it knows no Django.
"""

import os
import secrets
from pathlib import Path


def load_keys(folder: Path, given: list[str], *, name: str = "secret-keys") -> list[str]:
    """Return the keys, newest first: `given` ones if any, else those in `folder/name`.

    The file is made with one random key when it is missing. Two processes starting at once agree:
    the file is linked into place whole, and the one that comes second reads what the first wrote.
    """
    if given:
        return given
    path = folder / name
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
        draft = folder / f".{name}.{os.getpid()}.{secrets.token_hex(4)}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(48) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    keys = [line.strip() for line in path.read_text().splitlines() if line.strip()]
    if not keys:
        raise RuntimeError(f"{path} is empty. Restore it from your backup of the keys.")
    return keys
