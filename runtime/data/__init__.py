"""Tables on disk: writing and reading versions of datasets, and saying what is in them."""

# Delta's writer asks how much memory there is, and panics where it may not know.
SYSTEM_FILES = ("/proc/meminfo",)
