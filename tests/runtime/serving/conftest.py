"""Model packages, made once, and scoring servers, each on a folder of its own."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import VAR_DIR, _skip
from tests.runtime.serving.server import SERVE, TRAIN, ScoringServer, endpoint, release

MAKE = Path(__file__).resolve().parent / "make_package.py"
NAMES = ("classification-onnx", "classification-native", "regression-onnx", "slow-native")


@pytest.fixture(scope="session")
def packages() -> Path:
    """The folder of packages, by name."""
    if not (SERVE.exists() and TRAIN.exists()):
        _skip("the environments of jobs are not set up (make environments)")
    folder = VAR_DIR / "packages"
    # Another folder's conftest may have this fixture too, and so have made them in this run.
    if missing := [name for name in NAMES if not (folder / name).exists()]:
        subprocess.run([str(TRAIN), str(MAKE), str(folder), *missing], check=True)
    return folder


@pytest.fixture
def server(packages: Path, tmp_path: Path) -> Iterator[ScoringServer]:
    server = ScoringServer(tmp_path / "var").start()
    yield server
    server.stop()


@pytest.fixture
def onnx(packages: Path) -> Path:
    return packages / "classification-onnx"


@pytest.fixture
def native(packages: Path) -> Path:
    return packages / "classification-native"


@pytest.fixture(scope="module")
def served(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScoringServer]:
    """A server that serves `churn/small` (four kinds of inputs) and `churn/sum` (a + b)."""
    server = ScoringServer(tmp_path_factory.mktemp("served") / "var").start()
    server.push(
        endpoint("small", [release("champion", packages / "classification-onnx", 100)]),
        endpoint("sum", [release("one", packages / "regression-onnx", 100)]),
    )
    yield server
    server.stop()
