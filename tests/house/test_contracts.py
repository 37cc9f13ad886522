"""The import contracts hold, and each breaks when somebody violates it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The house, copied, for breaking."""
    for name in ("portal", "apps", "workers", "runtime"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint(folder: Path) -> "subprocess.CompletedProcess[str]":
    # Started from Python: the console script would import the original house, not the copy.
    code = (
        "import sys; sys.path.insert(0, '.'); "
        "from importlinter.cli import lint_imports_command; lint_imports_command()"
    )
    return subprocess.run(
        [sys.executable, "-c", code, "--no-cache"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin"},
    )


def test_house_keeps_its_contracts(copy: Path) -> None:
    done = lint(copy)
    assert done.returncode == 0, done.stdout
    assert "5 kept, 0 broken" in done.stdout


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("apps/accounts/tokens.py", "import apps.projects.models", "Each stage may know"),
        ("apps/core/errors.py", "import apps.accounts.models", "Each stage may know"),
        ("apps/jobs/services.py", "import workers.tasks", "Each stage may know"),
        ("runtime/check.py", "import workers.engines.base", "Each stage may know"),
        ("runtime/check.py", "import django", "Engines and runtime know neither"),
        ("workers/engines/local/kinds.py", "import rest_framework", "Engines and runtime know"),
        ("workers/engines/second/__init__.py", "import workers.engines.local", "Engines do not"),
        ("apps/jobs/models.py", "import apps.jobs.services", "Inside an app"),
        ("apps/jobs/services.py", "import apps.jobs.views", "Inside an app"),
        ("apps/jobs/views.py", "import workers.engines", "Views and API never call"),
        ("apps/targets/api.py", "import workers.engines", "Views and API never call"),
    ],
)
def test_contract_breaks_when_it_is_violated(
    copy: Path, file: str, line: str, contract: str
) -> None:
    path = copy / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{path.read_text() if path.exists() else ''}\n{line}\n")
    done = lint(copy)
    assert done.returncode != 0
    assert any(contract in text and "BROKEN" in text for text in done.stdout.splitlines())


SERVE_ONE_PAGE = """
import django, sys
django.setup()
from django.core.management import call_command
from django.test import Client
call_command("migrate", verbosity=0)
call_command("collectstatic", verbosity=0, interactive=False)
assert Client().get("/account/login/", HTTP_HOST="localhost").status_code == 200
heavy = ("azure", "workers.tasks", "workers.engines.local.kinds", "celery.app.task")
sys.exit(" ".join(name for name in sys.modules if name.startswith(heavy)) or 0)
"""


def test_page_loads_no_cloud_sdk_and_no_engine_code(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SERVE_ONE_PAGE],
        cwd=ROOT,
        env={
            "PORTOLAN_VAR_DIR": str(tmp_path),
            "DJANGO_SETTINGS_MODULE": "portal.settings",
            "PATH": "/usr/bin:/bin",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
