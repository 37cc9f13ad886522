"""Which events who may read."""

from django.db.models import Q, QuerySet

from apps.accounts.models import User
from apps.events.models import Event
from apps.projects.models import Project


def visible_events(user: User) -> QuerySet[Event]:
    """Events of the user's projects, what the user did, and for site admins the site's own."""
    mine = Project.objects.visible_to(user).values("uuid")
    seen = Q(project_id__in=mine) | Q(actor_id=user.uuid, project_id__isnull=True)
    if user.is_site_admin:
        seen |= Q(project_id__isnull=True)
    return Event.objects.filter(seen)


def site_events() -> QuerySet[Event]:
    """What concerns no project: people, targets, the portal itself."""
    return Event.objects.filter(project_id__isnull=True)
