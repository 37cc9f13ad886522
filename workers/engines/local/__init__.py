"""The local engine: jobs as confined processes of this machine."""

from workers.engines.base import HONOURED, EngineInfo, FieldSupport, JobSupport, Support
from workers.engines.local.pipeline_card import PIPELINE_JOBS
from workers.engines.local.route_card import ROUTE_JOBS
from workers.engines.local.source_card import SOURCE_JOBS

# What the portal itself reads of a definition; the engine is told the outcome.
NOTED = FieldSupport(Support.HONOURS, "by the portal, which tells the engine the outcome")
UP_TO_CORES = FieldSupport(Support.APPROXIMATES, "at most the cores this machine grants")

INFO = EngineInfo(
    name="local",
    label="This machine",
    jobs={
        "backup": JobSupport(
            "workers.engines.local.kinds:BackupJobs",
            {"archive": HONOURED, "include_lake": HONOURED},
        ),
        "check": JobSupport(
            "workers.engines.local.kinds:CheckJobs", {"seconds": HONOURED, "memory_mb": HONOURED}
        ),
        "probe": JobSupport(
            "workers.engines.local.kinds:Probes", {"topics": HONOURED}, is_interactive=True
        ),
        "train": JobSupport(
            "workers.engines.local.trainings:TrainJobs",
            {
                "definition": HONOURED,
                "definition.algorithm": HONOURED,
                "definition.allow_leakage": HONOURED,
                "definition.baselines": HONOURED,
                "definition.dataset": NOTED,
                "definition.features": HONOURED,
                "definition.keys": HONOURED,
                "definition.kinds": HONOURED,
                "definition.max_rows": HONOURED,
                "definition.metric": NOTED,
                "definition.positive": HONOURED,
                "definition.seed": HONOURED,
                "definition.settings": HONOURED,
                "definition.split": HONOURED,
                "definition.split.kfold.by": HONOURED,
                "definition.split.kfold.k": HONOURED,
                "definition.split.kfold.seed": HONOURED,
                "definition.split.random.by": HONOURED,
                "definition.split.random.fractions": HONOURED,
                "definition.split.random.fractions.test": HONOURED,
                "definition.split.random.fractions.train": HONOURED,
                "definition.split.random.fractions.validation": HONOURED,
                "definition.split.random.seed": HONOURED,
                "definition.split.random.stratify": HONOURED,
                "definition.split.time.by": HONOURED,
                "definition.split.time.column": HONOURED,
                "definition.split.time.gap": HONOURED,
                "definition.split.time.test_from": HONOURED,
                "definition.split.time.train_until": HONOURED,
                "definition.split.time.validation_until": HONOURED,
                "definition.target": HONOURED,
                "definition.task": HONOURED,
                "definition.threads": UP_TO_CORES,
                "definition.version": NOTED,
                "number": HONOURED,
                "path": HONOURED,
                "run": HONOURED,
            },
        ),
        "register": JobSupport(
            "workers.engines.local.conversions:RegisterJobs",
            {"version": HONOURED, "artifacts": HONOURED, "files": HONOURED},
        ),
        "evaluate": JobSupport(
            "workers.engines.local.evaluations:EvaluateJobs",
            {
                "endpoint": HONOURED,
                "window_start": HONOURED,
                "window_end": HONOURED,
                "releases": HONOURED,
                "definition": HONOURED,
                "definition.endpoint": NOTED,
                "definition.description": NOTED,
                "definition.release": NOTED,
                "definition.window": NOTED,
                "definition.min_rows": HONOURED,
                "definition.signals": HONOURED,
                "definition.signals[].signal": HONOURED,
                "definition.signals[].columns": HONOURED,
                "definition.signals[].threshold": HONOURED,
                "definition.signals[].direction": HONOURED,
            },
        ),
        "find_request": JobSupport(
            "workers.engines.local.evaluations:FindRequests",
            {"request_id": HONOURED, "endpoints": HONOURED},
            is_interactive=True,
        ),
        **PIPELINE_JOBS,
        **SOURCE_JOBS,
        **ROUTE_JOBS,
    },
    check_path="workers.engines.local.health:check",
    options={"accepts_unconfined": "who accepted that jobs run here without Landlock, and when"},
    poll_seconds=1.0,
    is_host_bound=True,
)
