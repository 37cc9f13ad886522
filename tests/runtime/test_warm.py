"""Warm processes: one question each, confined, and none left over."""

import os
from pathlib import Path

import pytest

from runtime.processes import descendants
from runtime.warm import NoAnswerError, WarmPool
from tests.servers import wait_until


def children() -> int:
    return len(descendants(os.getpid()))


def test_each_question_has_a_process_of_its_own_which_leaves_nothing(tmp_path: Path) -> None:
    before = children()
    pool = WarmPool(str(tmp_path))
    pool.warm_up()
    folders = [tuple(tmp_path.iterdir())]
    for _ in range(3):
        answer = pool.ask({"topics": ["confinement"]}, seconds=10)
        assert answer["confinement"]["readable"] == []
        folders.append(tuple(tmp_path.iterdir()))
    assert len(set(folders)) == 4
    assert all(len(each) == 1 for each in folders)
    pool.close()
    assert list(tmp_path.iterdir()) == []
    wait_until(lambda: children() == before, what="the processes to be gone")


def test_no_answer_in_time_is_said_and_the_process_is_ended(tmp_path: Path) -> None:
    before = children()
    pool = WarmPool(str(tmp_path))
    with pytest.raises(NoAnswerError, match="in time"):
        pool.ask({}, seconds=0)
    pool.close()
    wait_until(lambda: children() == before, what="the processes to be gone")


def test_killed_warm_process_is_replaced(tmp_path: Path) -> None:
    pool = WarmPool(str(tmp_path))
    pool.warm_up()
    [child] = pool._ready
    child.process.kill()
    child.process.wait()
    assert pool.ask({"topics": ["python"]}, seconds=10)["python"]["version"]
    pool.close()
    assert list(tmp_path.iterdir()) == []
