"""What lies beside the code: vendored files, deployment, documents."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from check_jsonschema.builtin_schemas import get_builtin_schema

from portal.env import Env
from workers.engines import find_engines

ROOT = Path(__file__).resolve().parent.parent.parent
VENDOR = ROOT / "static" / "vendor"
KUBERNETES = sorted((ROOT / "docker" / "kubernetes").glob("*.yaml"))


def test_vendored_files_are_the_listed_ones_unchanged() -> None:
    listed = json.loads((VENDOR / "VENDOR.json").read_text())
    found = {
        str(path.relative_to(VENDOR)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.rglob("*")
        if path.is_file() and path.name != "VENDOR.json"
    }
    assert found == {name: entry["sha256"] for name, entry in listed.items()}


def compose() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "docker" / "compose.yml").read_text())  # type: ignore[no-any-return]


def test_compose_file_fits_the_compose_specification() -> None:
    jsonschema.validate(compose(), get_builtin_schema("vendor.compose-spec"))


def test_compose_schema_refuses_a_typo() -> None:
    wrong = compose()
    wrong["services"]["web"]["comand"] = ["web"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, get_builtin_schema("vendor.compose-spec"))


def test_compose_runs_every_part_with_settings_that_exist() -> None:
    services = compose()["services"]
    commands = [entry.get("command", [""])[0] for entry in services.values()]
    assert {"migrate", "web", "worker", "tick"} <= set(commands)
    known = {f"PORTOLAN_{name.upper()}" for name in Env.model_fields}
    for entry in services.values():
        given = {key for key in entry["environment"] if key.startswith("PORTOLAN_")}
        assert given <= known


@pytest.mark.parametrize("path", KUBERNETES, ids=lambda path: path.name)
def test_kubernetes_manifests_are_valid(path: Path) -> None:
    manifests = list(yaml.safe_load_all(path.read_text()))
    assert manifests
    for manifest in manifests:
        kubernetes_validate.validate(manifest, "1.37", strict=True)


def test_kubernetes_selectors_select_their_own_pods() -> None:
    manifests = list(yaml.safe_load_all(KUBERNETES[0].read_text()))
    for manifest in manifests:
        if manifest["kind"] in ("Deployment", "StatefulSet"):
            spec = manifest["spec"]
            assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]


def test_every_setting_is_documented() -> None:
    text = (ROOT / "docs" / "settings.md").read_text()
    documented = set(re.findall(r"`PORTOLAN_([A-Z_]+)`", text))
    assert documented == {name.upper() for name in Env.model_fields}


def test_every_engine_is_documented() -> None:
    text = (ROOT / "docs" / "engines.md").read_text()
    for info in find_engines().values():
        assert f"`{info.name}`" in text
        for kind in info.jobs:
            assert f"`{kind}`" in text


def test_every_direct_dependency_has_its_reason() -> None:
    text = (ROOT / "docs" / "decisions" / "0003-dependencies.md").read_text()
    for name in ("base", "dev", "bootstrap", "train", "serve", "examples"):
        for line in (ROOT / "requirements" / f"{name}.in").read_text().splitlines():
            if line and not line.startswith(("#", "-")):
                package = re.split(r"[\[<>=]", line)[0]
                assert f"`{package}`" in text, package


def test_locks_name_hashes_and_no_host() -> None:
    for path in (ROOT / "requirements").glob("*.txt"):
        text = path.read_text()
        assert "--hash=sha256:" in text
        assert "://" not in text


@pytest.mark.parametrize("suffix", [".py", ".html"])
def test_no_file_outgrows_the_house(suffix: str) -> None:
    limit = {".py": 400, ".html": 150}[suffix]
    folders = ("portal", "apps", "workers", "runtime", "templates")
    for path in (path for folder in folders for path in (ROOT / folder).rglob(f"*{suffix}")):
        assert len(path.read_text().splitlines()) <= limit, path
