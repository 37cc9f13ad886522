"""A pipeline's confined process at its limits, and previews by warm processes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pytest

from runtime.data.delta import open_dataset, version_files, write_version
from tests.engines.contract import EngineContract
from tests.servers import wait_until
from workers.engines.base import EngineContext, Observation
from workers.engines.local import INFO
from workers.engines.local.pipelines import PipelineJobs, StepPreviews

pytestmark = pytest.mark.process
LIMITS = {"memory_mb": 1024, "disk_mb": 256, "processes": 64, "seconds": 60}
READ = {"operation": "read", "dataset": "t"}
SAVE = {"operation": "write", "dataset": "made"}
NUMBERS = pa.table({"n": list(range(1000)), "word": [str(each) for each in range(1000)]})


def make_context(var: Path, **limits: int) -> EngineContext:
    return EngineContext(var_dir=var, host="here", limits={**LIMITS, **limits})


def spec(var: Path, **steps: Any) -> dict[str, Any]:
    """A spec that reads a table of numbers, does these steps, and writes the last's rows."""
    path = var / "lake" / "t"
    if not path.exists():
        write_version(str(path), NUMBERS.to_reader(), commit_key="t")
    chain = {"t": READ, **steps}
    chain["save"] = {**SAVE, "input": list(chain)[-1]}
    return {
        "definition": json.dumps({"steps": chain}),
        "parameters": {},
        "inputs": {"t": {"path": str(path), "number": 0}},
        "outputs": {"save": {"path": str(var / "lake" / "made"), "dataset": str(uuid4())}},
    }


def query(text: str) -> dict[str, Any]:
    return {"operation": "sql", "inputs": ["t"], "query": text}


def finish(context: EngineContext, asked: Mapping[str, Any]) -> Observation:
    jobs = PipelineJobs(context)
    job = jobs.submit(str(uuid4()), asked, "").external_id
    wait_until(lambda: jobs.poll(job).is_final, seconds=90, what="the pipeline to end")
    return jobs.poll(job)


class TestLocalPipelines(EngineContract):
    info = INFO
    kind = "pipeline"

    @pytest.fixture
    def context(self, tmp_path: Path) -> EngineContext:
        self.var = tmp_path
        return make_context(tmp_path)

    def quick(self) -> Mapping[str, Any]:
        return spec(self.var)

    def lasting(self) -> Mapping[str, Any]:
        endless = "select count(*) as n from range(100000000) a, range(100000) b"
        return spec(self.var, slow=query(endless))

    def starts(self, context: EngineContext, job_id: str) -> int:
        log = (context.var_dir / "jobs" / job_id / "log.txt").read_text()
        return log.count("t (read)")


def test_disk_that_is_full_leaves_the_dataset_as_it_was(tmp_path: Path) -> None:
    made = str(tmp_path / "lake" / "made")
    write_version(made, pa.table({"m": ["old"]}).to_reader(), commit_key="old")
    before = version_files(made, 0)
    large = query("select md5(i::varchar) || md5((i + 1)::varchar) as m from range(2000000) r(i)")
    seen = finish(make_context(tmp_path, disk_mb=8), spec(tmp_path, large=large))
    assert seen.state == "failed"
    assert "Step `save`: There was no room on the disk" in seen.message
    assert version_files(made, 0) == before
    assert open_dataset(made, 0).to_table().to_pylist() == [{"m": "old"}]
    assert len(list((tmp_path / "lake" / "made").glob("*.parquet"))) == 1


def test_too_much_memory_is_refused_in_words(tmp_path: Path) -> None:
    hungry = query("select list(md5(i::varchar)) as l from range(30000000) r(i)")
    seen = finish(make_context(tmp_path, memory_mb=512, disk_mb=64), spec(tmp_path, hungry=hungry))
    assert seen.state == "failed"
    assert "memory" in seen.message or "room" in seen.message
    assert not (tmp_path / "lake" / "made" / "_delta_log").exists()


def test_sql_that_got_past_the_portal_still_reaches_nothing(tmp_path: Path) -> None:
    text = "select * from read_text('/etc/passwd')"
    seen = finish(make_context(tmp_path), spec(tmp_path, mine=query(text)))
    assert seen.state == "failed"
    assert "reaches beyond the inputs" in seen.message


def ask(var: Path, step: str, **steps: Any) -> dict[str, Any]:
    asked = {**spec(var, **steps), "step": step, "limit": 5}
    del asked["outputs"]
    seen = StepPreviews(make_context(var)).submit(str(uuid4()), asked, "").observation
    assert seen is not None
    return dict(seen.outputs)


def test_preview_shows_rows_after_any_step(tmp_path: Path) -> None:
    more = {"operation": "derive", "input": "t", "columns": {"twice": "n * 2"}}
    total = {"operation": "aggregate", "input": "more", "columns": {"all": "sum(twice)"}}
    said = ask(tmp_path, "more", more=more, total=total)
    assert [each["name"] for each in said["columns"]] == ["n", "word", "twice"]
    assert said["rows"][2] == [2, "2", 4]
    assert len(said["rows"]) == 5
    assert ask(tmp_path, "total", more=more, total=total)["rows"] == [[999_000]]
    assert ask(tmp_path, "save", more=more)["rows"][0] == [0, "0", 0]


def test_preview_tells_step_column_and_position_of_an_error(tmp_path: Path) -> None:
    more = {"operation": "derive", "input": "t", "columns": {"twice": "m * 2"}}
    error = ask(tmp_path, "more", more=more)["error"]
    assert (error["step"], error["column"], error["position"]) == ("more", "twice", 1)
    assert "Did you mean `n`?" in error["message"]
    cast = {"operation": "derive", "input": "t", "columns": {"x": "cast(word || 'x' as int)"}}
    error = ask(tmp_path, "cast", cast=cast)["error"]
    assert (error["step"], error["column"]) == ("cast", "x")


def test_preview_of_what_needs_all_rows_says_that_it_was_sampled(tmp_path: Path) -> None:
    many = pa.table({"n": range(500_000), "word": pa.array(["w"] * 500_000)})
    write_version(str(tmp_path / "lake" / "t"), many.to_reader(), commit_key="t")
    total = {"operation": "aggregate", "input": "t", "columns": {"rows": "count(*)"}}
    said = ask(tmp_path, "total", total=total)
    assert said["sampled"] == {"t": [200_000, 500_000]}
    assert 100_000 < said["rows"][0][0] < 300_000
    assert ask(tmp_path, "t")["sampled"] == {}
