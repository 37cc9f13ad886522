"""A run of a pipeline, inside its confined process: steps, checks, then the datasets written.

Nothing is written before every check has passed. Each dataset is one Delta commit under the key
"<job>/<step>": a run that was killed and is begun again finds what it had committed.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from runtime.data import delta
from runtime.data.profile import profile_table
from runtime.documents import pipeline as doc
from runtime.documents.base import validate_document
from runtime.documents.pipeline import PipelineDocument, inputs_of
from runtime.job import JobError
from runtime.pipelines.checks import check
from runtime.pipelines.compiling import Compiler
from runtime.pipelines.engine import Calls, Engine
from runtime.pipelines.plan import Plan
from runtime.pipelines.sql import Sql, StepError, listed

# DuckDB's part of the job's memory: the rest is for Arrow, the writer and Python itself.
DUCKDB_SHARE = 0.6
# Up to this part of it, what is written is also kept in memory until it is profiled.
KEPT_SHARE = 0.05


@dataclass
class Told:
    """What is told of a step. `seconds` is the time spent on it alone."""

    name: str
    operation: str
    state: str = "waiting"
    message: str = ""
    rows_in: int | None = None
    rows_out: int | None = None
    size_bytes: int | None = None
    seconds: float = 0.0
    checks: list[dict[str, Any]] = field(default_factory=list)


class Run:
    """`spec`: definition (JSON text), parameters, inputs (read step → path, number), outputs
    (write step → path, dataset), job, memory_mb, threads, temp_folder."""

    def __init__(self, spec: Mapping[str, Any]) -> None:
        self.spec = spec
        self.document = validate_document(PipelineDocument, json.loads(spec["definition"]))
        self.plan = Plan(self.document)
        self.parameters = {**self.document.parameters, **spec["parameters"]}
        self.told = {name: Told(name, step.operation) for name, step in self.document.steps.items()}
        self.counts: dict[str, int] = {}
        self.columns: dict[str, list[str]] = {}
        self.sqls: dict[str, Sql] = {}
        self.written: dict[str, Any] = {}
        self.profile_cpu_seconds = 0.0
        self.tables = {
            name: _look_at(spec["inputs"][name])
            for name in self.plan.order
            if isinstance(self.document.steps[name], doc.ReadStep)
        }
        self.engine = Engine(
            files=[path for table in self.tables.values() for path in table.files],
            memory_mb=int(int(spec["memory_mb"]) * DUCKDB_SHARE),
            threads=int(spec["threads"]),
            temp_folder=str(spec["temp_folder"]),
        )
        self.compiler = Compiler(self.columns, self.parameters, Calls(self.engine))

    def run(self) -> dict[str, Any]:
        """All of it. A JobError carries what had been done by then as `partial`."""
        try:
            for name in self.plan.order:
                if name not in self.plan.writes:
                    self._timed(name, self._step)
            for name in self.plan.writes:
                self._timed(name, self._write)
            self._count_the_rest()
        except JobError as error:
            error.partial = self._outputs()  # type: ignore[attr-defined]
            raise
        return self._outputs()

    def _timed(self, name: str, work: Any) -> None:
        told, began = self.told[name], time.perf_counter()
        told.state = "running"
        try:
            work(name, told)
        except JobError as error:
            told.state, told.message = "failed", error.message
            raise
        finally:
            told.seconds += time.perf_counter() - began
        told.state = "succeeded"
        say(told)

    def _step(self, name: str, told: Told) -> None:
        step = self.document.steps[name]
        if isinstance(step, doc.ReadStep):
            self._read(name, step, told)
            return
        sql = self.compiler.compile(name, step)
        self.sqls[name] = sql
        is_kept = name in self.plan.kept
        before = self.engine.kept_bytes() if is_kept else 0
        try:
            rows = self.engine.define(sql, is_kept=is_kept)
        except StepError as error:
            raise self._better(error, name) from None
        self.columns[name] = list(self.engine.types(name))
        if rows is not None:
            self.counts[name] = rows
            told.size_bytes = max(self.engine.kept_bytes() - before, 0)
        if isinstance(step, doc.CheckStep):
            self._check(name, step, told)

    def _read(self, name: str, step: doc.ReadStep, told: Told) -> None:
        table = self.tables[name]
        self.columns[name] = table.schema.names
        sql = Sql(name, self.parameters)
        chosen = self.compiler.known(sql, name, step.columns) or list(table.schema.names)
        schema = table.schema.empty_table().select(chosen).schema
        self.engine.read(name, table.files, schema)
        self.columns[name] = chosen
        self.counts[name] = table.rows
        told.rows_in, told.size_bytes = table.rows, table.size_bytes

    def _better(self, error: StepError, name: str) -> StepError:
        """An error met while computing several steps at once, as that of the step to blame."""
        chain = [self.sqls[each] for each in self.plan.chain(name) if each in self.sqls]
        if name not in self.plan.kept or error.column or len(chain) < 2:
            return error
        return self.engine.blamed(error, chain[:-1]) or error

    def _check(self, name: str, step: doc.CheckStep, told: Told) -> None:
        told.checks = check(self.engine, self.compiler, name, step)
        broken = [each for each in told.checks if not each["is_held"]]
        errors = [each for each in broken if each["severity"] == "error"]
        text = "; ".join(f"{each['rule']}: {each['message'].rstrip('.')}" for each in broken)
        if errors:
            raise StepError(
                f"{text}. Nothing was written. Mend the data, or make the rule a warning.",
                step=name,
            )
        told.message = f"Warning: {text}." if broken else ""

    def _write(self, name: str, told: Told) -> None:
        step: Any = self.document.steps[name]
        output = self.spec["outputs"][name]
        key = f"{self.spec['job']}/{name}"
        done, table = delta.find_version(output["path"], key), None
        if done is None:
            done, table = self._commit(name, step, output["path"], key)
        else:
            told.message = "Written already, before this run was interrupted."
        if step.mode == "overwrite":
            self.counts[name] = done.rows
        told.size_bytes = done.size_bytes
        self.written[name] = {
            "dataset": output["dataset"],
            "commit_key": key,
            "profile": self._profile(table, output["path"], done.number),
            **{k: v for k, v in asdict(done).items() if k != "is_new"},
        }

    def _commit(
        self, name: str, step: doc.WriteStep, path: str, key: str
    ) -> tuple[delta.Written, Any]:
        """What was written, and all rows of the new version where these are few."""
        source = step.input
        try:
            reader = self.engine.stream(source)
            if step.mode == "append":
                _refuse_other_columns(name, path, reader.schema)
                return delta.write_version(path, reader, commit_key=key, mode=step.mode), None
            limit = int(int(self.spec["memory_mb"]) * KEPT_SHARE) << 20
            kept = delta.Kept(delta.storable(reader), limit)
            return delta.write_version(path, kept.reader, commit_key=key), kept.table
        except delta.DiskFull as error:
            raise StepError(str(error), step=name) from None
        except delta.DataError as error:
            raise StepError(str(error), step=name, column=error.column) from None
        except Exception as error:
            chain = [self.sqls[each] for each in self.plan.chain(source) if each in self.sqls]
            blamed = self.engine.blamed(error, chain)
            if blamed is None:
                raise
            raise blamed from None

    def _profile(self, table: Any, path: str, number: int) -> dict[str, Any]:
        """Of the version: from its rows where they are at hand, from its files otherwise."""
        began = time.process_time()
        data: Any = table
        if table is None:
            data = delta.version_files(path, number) or delta.open_dataset(path, number)
        found = profile_table(
            data,
            memory_mb=int(int(self.spec["memory_mb"]) * DUCKDB_SHARE / 2),
            threads=int(self.spec["threads"]),
            temp_folder=str(self.spec["temp_folder"]),
        )
        self.profile_cpu_seconds += time.process_time() - began
        return found

    def _count_the_rest(self) -> None:
        """Rows of the views that no other count tells: asked of the data, columns left aside."""
        self.plan.infer(self.counts)
        for name in self.plan.order:
            if name in self.counts:
                continue
            began = time.perf_counter()
            self.counts[name] = self._counted(name)
            self.told[name].seconds += time.perf_counter() - began
            self.plan.infer(self.counts)

    def _counted(self, name: str) -> int:
        """The step's rows. A left join whose right keys are unique has those of its left side,
        which is far quicker to find out than to join once more."""
        step: Any = self.document.steps[name]
        if isinstance(step, doc.JoinStep) and step.how == "left" and step.left in self.counts:
            keys = listed(step.right_keys or step.keys)
            if self.engine.is_unique(step.right, keys):
                return self.counts[step.left]
        return self.engine.count(name)

    def _outputs(self) -> dict[str, Any]:
        self.plan.infer(self.counts)
        for name, told in self.told.items():
            if name not in self.plan.order:
                told.state, told.message = "skipped", "Nothing that is written or checked needs it."
                continue
            step = self.document.steps[name]
            before = inputs_of(step)[: 1 if isinstance(step, doc.CheckStep) else None]
            if before and all(each in self.counts for each in before):
                told.rows_in = sum(self.counts[each] for each in before)
            told.rows_out = self.counts.get(name)
            within = self.plan.computed_in(name)
            is_view = name not in self.plan.kept and name not in self.plan.writes
            if is_view and within and not told.message and told.state == "succeeded":
                told.message = f"Computed together with `{within}`."
        return {
            "steps": [asdict(told) for told in self.told.values()],
            "datasets": self.written,
            "profile_cpu_seconds": round(self.profile_cpu_seconds, 3),
        }


def _look_at(pinned: Mapping[str, Any]) -> delta.Held:
    return delta.look_at(str(pinned["path"]), int(pinned["number"]))


def _refuse_other_columns(name: str, path: str, schema: Any) -> None:
    """Rows can only be added to a dataset of the same columns."""
    there = delta.current_schema(path)
    if there is None:
        return
    held = {each.name: each.type for each in there}
    for field_ in schema:
        kind = delta.storable_type(field_.type, field_.name)
        if field_.name not in held or held[field_.name] != kind:
            had = f"as {held[field_.name]}" if field_.name in held else "not at all"
            raise StepError(
                f"The dataset has this column {had}, the rows to add have it as {kind}. Make "
                "them the same with a select or cast step, or use mode overwrite.",
                step=name,
                column=field_.name,
            )
    if missing := sorted(held.keys() - set(schema.names)):
        raise StepError(
            "The dataset has this column, the rows to add have not. Add it, or overwrite.",
            step=name,
            column=missing[0],
        )


def say(told: Told) -> None:
    """A line of the job's log."""
    rows = "" if told.rows_out is None else f", {told.rows_out:,} rows"
    note = f" {told.message}" if told.message else ""
    print(f"{told.name} ({told.operation}): {told.seconds:.2f} s{rows}.{note}", flush=True)  # noqa: T201


def main(spec: dict[str, Any]) -> Mapping[str, Any]:
    return Run(spec).run()
