"""Timelines of projects and the site's audit trail."""

from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from apps.core.filters import FilterError, parse_filter
from apps.core.listing import list_page
from apps.core.requests import SignedIn
from apps.events.models import Event
from apps.notify.lists import EVENT_LIST, json_lines
from apps.notify.services import site_events
from apps.projects.services import get_project, role_in


@require_GET
def timeline(request: SignedIn, slug: str) -> HttpResponse:
    project = get_project(request.user, slug)
    page = list_page(EVENT_LIST, Event.objects.filter(project_id=project.uuid), request.GET)
    context = {"page": page, "project": project, "role": role_in(request.user, project)}
    return render(request, "notify/timeline.html", context)


@require_GET
def timeline_export(request: SignedIn, slug: str) -> StreamingHttpResponse:
    project = get_project(request.user, slug)
    events = Event.objects.filter(project_id=project.uuid)
    return _export(request, events.filter(_condition(request)), project.slug)


@require_GET
def audit(request: SignedIn) -> HttpResponse:
    """What concerns the site: people, targets, backups. Site admins only."""
    if not request.user.is_site_admin:
        raise Http404
    page = list_page(EVENT_LIST, site_events(), request.GET)
    return render(request, "notify/audit.html", {"page": page})


@require_GET
def audit_export(request: SignedIn) -> StreamingHttpResponse:
    if not request.user.is_site_admin:
        raise Http404
    return _export(request, site_events().filter(_condition(request)), "site")


def _condition(request: SignedIn) -> object:
    try:
        return parse_filter(request.GET.get("filter", "").strip(), EVENT_LIST.fields)
    except FilterError as error:
        raise Http404(str(error)) from None


def _export(request: SignedIn, events: object, name: str) -> StreamingHttpResponse:
    answer = StreamingHttpResponse(json_lines(events), content_type="application/x-ndjson")  # type: ignore[arg-type]
    answer["Content-Disposition"] = f'attachment; filename="{name}-events.jsonl"'
    return answer
