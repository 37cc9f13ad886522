"""How this machine is: what the reconciler shows of the local target."""

import os
import platform
import shutil

from runtime.confine import landlock_abi
from workers.engines.base import EngineContext, TargetCheck

LOW_DISK_GB = 1.0
GB = 1024**3


def check(context: EngineContext) -> TargetCheck:
    abi = landlock_abi()
    free_gb = shutil.disk_usage(context.var_dir).free / GB
    facts: dict[str, str | int | float] = {
        "Host": context.host,
        "Python": platform.python_version(),
        "CPUs": os.cpu_count() or 1,
        "Memory, GB": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GB, 1),
        "Free disk, GB": round(free_gb, 1),
        "Confinement": f"Landlock, version {abi}" if abi else "none: the kernel has no Landlock",
    }
    if not abi and not context.options.get("accepts_unconfined"):
        text = "Jobs that must be confined are refused: the kernel has no Landlock."
        return TargetCheck("limited", text, facts)
    if free_gb < LOW_DISK_GB:
        return TargetCheck("limited", "Less than 1 GB of disk is free. Make room.", facts)
    return TargetCheck("ready", "Jobs run here as confined processes.", facts)
