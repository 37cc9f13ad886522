"""The local engine: jobs as confined processes of this machine."""

from workers.engines.base import HONOURED, EngineInfo, JobSupport

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
    },
    check_path="workers.engines.local.health:check",
    options={"accepts_unconfined": "who accepted that jobs run here without Landlock, and when"},
    poll_seconds=1.0,
    is_host_bound=True,
)
