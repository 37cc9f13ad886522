"""Fetch the front end's vendored files anew from npm, and write their hashes.

For maintainers, after changing a version below: `python scripts/vendor.py`. Needs npm; nobody who
runs or tests the portal does. `tests/house/test_files.py` checks every file against VENDOR.json.
"""

import hashlib
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

VENDOR = Path(__file__).resolve().parent.parent / "static" / "vendor"
PACKAGES = {
    "htmx.org": ("4.0.1", "0BSD"),
    "@tabler/icons": ("3.52.0", "MIT"),
    "@fontsource-variable/inter": ("5.3.0", "OFL-1.1"),
    "@fontsource/ibm-plex-mono": ("5.3.0", "OFL-1.1"),
}
FILES = {
    "htmx/htmx.min.js": ("htmx.org", "dist/htmx.min.js"),
    "htmx/LICENSE": ("htmx.org", "LICENSE"),
    "fonts/inter-latin-wght-normal.woff2": (
        "@fontsource-variable/inter",
        "files/inter-latin-wght-normal.woff2",
    ),
    "fonts/LICENSE-inter": ("@fontsource-variable/inter", "LICENSE"),
    "fonts/ibm-plex-mono-latin-400-normal.woff2": (
        "@fontsource/ibm-plex-mono",
        "files/ibm-plex-mono-latin-400-normal.woff2",
    ),
    "fonts/ibm-plex-mono-latin-500-normal.woff2": (
        "@fontsource/ibm-plex-mono",
        "files/ibm-plex-mono-latin-500-normal.woff2",
    ),
    "fonts/LICENSE-ibm-plex-mono": ("@fontsource/ibm-plex-mono", "LICENSE"),
    "icons/LICENSE": ("@tabler/icons", "LICENSE"),
}
ICONS = """
activity adjustments alert-triangle archive arrow-down arrow-left arrow-right bell check
chevron-down circle-dashed clock compass copy contrast-2 database database-export device-laptop
download external-link file-text folder hand-stop help history home info-circle key keyboard list
loader-2 lock login-2 logout mail menu-2 minus moon pencil player-pause player-play player-stop
plus question-mark refresh search selector server settings shield shield-check shield-lock sun
timeline trash user user-off user-plus users x
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        wanted = [f"{name}@{version}" for name, (version, _) in PACKAGES.items()]
        command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", *wanted]
        subprocess.run(command, cwd=folder, check=True)
        modules = Path(folder) / "node_modules"
        for target, (package, path) in FILES.items():
            (VENDOR / target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(modules / package / path, VENDOR / target)
        sprite = "".join(_symbol(modules, name) for name in ICONS.split())
        text = f'<svg xmlns="http://www.w3.org/2000/svg">\n{sprite}</svg>\n'
        (VENDOR / "icons" / "sprite.svg").write_text(text)
    _write_list()


def _symbol(modules: Path, name: str) -> str:
    source = (modules / "@tabler" / "icons" / "icons" / "outline" / f"{name}.svg").read_text()
    shapes = re.findall(r"<(?:path|circle|rect|line)[^>]*/>", source)
    # The first path of every icon is an empty frame of its own size.
    drawn = "".join(shape for shape in shapes if 'stroke="none"' not in shape)
    return f'<symbol id="{name}" viewBox="0 0 24 24">{drawn}</symbol>\n'


def _write_list() -> None:
    source = {target: package for target, (package, _) in FILES.items()}
    source["icons/sprite.svg"] = "@tabler/icons"
    listed = {
        target: {
            "package": package,
            "version": PACKAGES[package][0],
            "licence": PACKAGES[package][1],
            "sha256": hashlib.sha256((VENDOR / target).read_bytes()).hexdigest(),
        }
        for target, package in sorted(source.items())
    }
    (VENDOR / "VENDOR.json").write_text(json.dumps(listed, indent=1) + "\n")


if __name__ == "__main__":
    main()
