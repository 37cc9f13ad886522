"""Home, and a project's home."""

from django.db.models import Count, OuterRef, Prefetch, Subquery
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from apps.core.listing import list_page
from apps.core.requests import SignedIn
from apps.events.models import Event
from apps.jobs.models import Job
from apps.projects.lists import PROJECT_LIST
from apps.projects.models import Member, Project, Role
from apps.projects.services import get_project, role_in

JOBS_SHOWN = EVENTS_SHOWN = 8


@require_GET
def home(request: SignedIn) -> HttpResponse:
    """The user's projects: owner, size, and how the last job went."""
    last = Job.objects.filter(project=OuterRef("pk"), is_ephemeral=False).order_by("-created_at")
    owners = Member.objects.filter(role=Role.OWNER).select_related("user")
    projects = Project.objects.visible_to(request.user).annotate(
        member_count=Count("members"),
        last_state=Subquery(last.values("state")[:1]),
        last_job=Subquery(last.values("pk")[:1]),
        last_at=Subquery(last.values("created_at")[:1]),
    )
    found = projects.prefetch_related(Prefetch("members", queryset=owners, to_attr="owners"))
    page = list_page(PROJECT_LIST, found, request.GET)
    return render(request, "overview/home.html", {"page": page})


@require_GET
def project(request: SignedIn, slug: str) -> HttpResponse:
    """A project's home: what it is, what ran last, who is in it, what happened."""
    seen = get_project(request.user, slug)
    jobs = Job.objects.filter(project=seen, is_ephemeral=False)
    context = {
        "project": seen,
        "role": role_in(request.user, seen),
        "jobs": jobs.select_related("target", "created_by")[:JOBS_SHOWN],
        "members": seen.members.filter(user__is_service=False).select_related("user")[:JOBS_SHOWN],
        "events": Event.objects.filter(project_id=seen.uuid)[:EVENTS_SHOWN],
    }
    return render(request, "overview/project.html", context)
