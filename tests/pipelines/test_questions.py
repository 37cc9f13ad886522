"""The warm processes that answer questions about data: one fork each, nothing shared, none lost."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from runtime.data.delta import write_version
from runtime.warm import ISOLATED, NoAnswerError, WarmPool
from workers.engines.local.questions import CHILD

pytestmark = pytest.mark.process


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[WarmPool]:
    write_version(str(tmp_path / "t"), pa.table({"n": [1, 2]}).to_reader(), commit_key="t")
    made = WarmPool(str(tmp_path / "jobs"), (*ISOLATED, CHILD), size=1, is_forking=True)
    made.warm_up()
    yield made
    made.close()


def question(tmp_path: Path, *, is_readable: bool = True, **changes: Any) -> dict[str, Any]:
    read = {"operation": "read", "dataset": "t"}
    asked = {
        "definition": json.dumps({"steps": {"t": read}}),
        "parameters": {},
        "step": "t",
        "limit": 5,
        "inputs": {"t": {"path": str(tmp_path / "t"), "number": 0}},
        "memory_mb": 256,
        **changes,
    }
    readable = ["/proc/meminfo", *([str(tmp_path / "t")] if is_readable else [])]
    return {"name": "preview_step", "question": asked, "readable": readable}


def test_same_process_forks_for_question_after_question(tmp_path: Path, pool: WarmPool) -> None:
    for _ in range(3):
        assert pool.ask(question(tmp_path), seconds=20)["rows"] == [[1], [2]]
    folders = list((tmp_path / "jobs").iterdir())
    assert len(folders) == 1
    assert list(folders[0].iterdir()) == []


def test_question_reads_only_what_it_may(tmp_path: Path, pool: WarmPool) -> None:
    with pytest.raises(NoAnswerError):
        pool.ask(question(tmp_path, is_readable=False), seconds=20)
    assert pool.ask(question(tmp_path), seconds=20)["rows"] == [[1], [2]]


def test_question_that_takes_too_long_is_ended(tmp_path: Path, pool: WarmPool) -> None:
    endless = "select count(*) as n from range(100000000) a, range(100000) b"
    steps = {
        "t": {"operation": "read", "dataset": "t"},
        "slow": {"operation": "sql", "inputs": ["t"], "query": endless},
    }
    asked = question(tmp_path, step="slow", definition=json.dumps({"steps": steps}))
    pool.ask(question(tmp_path), seconds=20)
    with pytest.raises(NoAnswerError, match="in time"):
        pool.ask(asked, seconds=2)
    assert pool.ask(question(tmp_path), seconds=20)["rows"] == [[1], [2]]


def test_what_is_no_question_ends_the_process_and_not_the_pool(
    tmp_path: Path, pool: WarmPool
) -> None:
    for name in ("os.path", "nothing_of_this_name", "child"):
        with pytest.raises(NoAnswerError):
            pool.ask({**question(tmp_path), "name": name}, seconds=20)
    assert pool.ask(question(tmp_path), seconds=20)["rows"] == [[1], [2]]
