from django.apps import AppConfig


class PortalConfig(AppConfig):
    """The commands that start the portal's processes live here, above everything else."""

    name = "portal"

    def ready(self) -> None:
        from portal import checks  # noqa: F401  (registers them)
