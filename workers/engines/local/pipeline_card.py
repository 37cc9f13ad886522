"""The card for pipelines: what this machine does with every field of a definition."""

from collections.abc import Mapping

from workers.engines.base import HONOURED, FieldSupport, JobSupport, Support

# The portal decides at launch; the engine is told which version of which table that is.
RESOLVED = FieldSupport(Support.HONOURS, "resolved at launch: a run's inputs are pinned then")

STEPS: Mapping[str, tuple[str, ...]] = {
    "aggregate": (
        "columns",
        "group_by",
        "input",
        "operation",
    ),
    "cast": (
        "columns",
        "input",
        "on_error",
        "operation",
    ),
    "check": (
        "input",
        "operation",
        "rules",
    ),
    "clip_outliers": (
        "columns",
        "input",
        "lower",
        "lower_quantile",
        "operation",
        "upper",
        "upper_quantile",
    ),
    "deduplicate": (
        "input",
        "keys",
        "operation",
        "order_by",
    ),
    "derive": (
        "columns",
        "input",
        "operation",
    ),
    "fill_missing": (
        "columns",
        "columns[].method",
        "columns[].order_by",
        "columns[].partition_by",
        "columns[].value",
        "input",
        "operation",
    ),
    "filter": (
        "input",
        "operation",
        "where",
    ),
    "join": (
        "how",
        "keys",
        "left",
        "operation",
        "right",
        "right_keys",
        "suffix",
    ),
    "read": (
        "columns",
        "dataset",
        "operation",
        "version",
    ),
    "sample": (
        "fraction",
        "input",
        "keys",
        "operation",
        "rows",
        "seed",
    ),
    "select": (
        "columns",
        "drop",
        "input",
        "operation",
        "rename",
    ),
    "split": (
        "by",
        "column",
        "fractions",
        "input",
        "keys",
        "operation",
        "seed",
        "until",
    ),
    "sql": (
        "inputs",
        "operation",
        "query",
    ),
    "union": (
        "distinct",
        "inputs",
        "operation",
    ),
    "window": (
        "columns",
        "columns[].expression",
        "columns[].frame",
        "input",
        "operation",
        "order_by",
        "partition_by",
    ),
    "write": (
        "dataset",
        "input",
        "mode",
        "operation",
    ),
}
RULES: Mapping[str, tuple[str, ...]] = {
    "expression": (
        "rule",
        "severity",
        "where",
    ),
    "foreign_key": (
        "columns",
        "rule",
        "severity",
        "step",
        "step_columns",
    ),
    "not_null": (
        "columns",
        "rule",
        "severity",
    ),
    "range": (
        "column",
        "max",
        "min",
        "rule",
        "severity",
    ),
    "row_count": (
        "max",
        "min",
        "rule",
        "severity",
    ),
    "unique": (
        "columns",
        "rule",
        "severity",
    ),
    "values": (
        "allowed",
        "column",
        "rule",
        "severity",
    ),
}
PIPELINE_FIELDS: Mapping[str, FieldSupport] = {
    **dict.fromkeys(("definition", "parameters", "inputs", "outputs"), HONOURED),
    **dict.fromkeys(("definition.parameters", "definition.steps"), HONOURED),
    **{
        f"definition.steps[].{step}.{name}": HONOURED
        for step, names in STEPS.items()
        for name in names
    },
    **{
        f"definition.steps[].check.rules[].{rule}.{name}": HONOURED
        for rule, names in RULES.items()
        for name in names
    },
    "definition.steps[].read.dataset": RESOLVED,
    "definition.steps[].read.version": RESOLVED,
    "definition.steps[].write.dataset": RESOLVED,
}
PIPELINE_JOBS: Mapping[str, JobSupport] = {
    "pipeline": JobSupport("workers.engines.local.pipelines:PipelineJobs", PIPELINE_FIELDS),
    "preview_step": JobSupport(
        "workers.engines.local.pipelines:StepPreviews",
        dict.fromkeys(("definition", "parameters", "step", "limit", "inputs"), HONOURED),
        is_interactive=True,
    ),
}
