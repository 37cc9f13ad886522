from rest_framework.routers import SimpleRouter


def register(router: SimpleRouter) -> None:
    """Put this app's resources under /api/v1/."""
