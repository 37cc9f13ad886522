from django.apps import AppConfig


class PortalConfig(AppConfig):
    """The commands that start the portal's processes live here, above everything else."""

    name = "portal"
