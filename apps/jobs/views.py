"""The activity pages, a job's page and its live parts, and launching a check."""

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.core.errors import Conflict
from apps.core.forms import add_errors
from apps.core.listing import list_page
from apps.core.requests import SignedIn
from apps.jobs.forms import CheckForm
from apps.jobs.hosts import has_live_worker
from apps.jobs.lists import JOB_LIST
from apps.jobs.models import Job
from apps.jobs.reading import read_log
from apps.jobs.services import launch_check, request_cancel
from apps.projects.models import Role
from apps.projects.services import get_project, role_in
from runtime.definitions import CheckSpec


def _visible(request: SignedIn) -> QuerySet[Job]:
    jobs = Job.objects.visible_to(request.user)
    return jobs.select_related("project", "target", "created_by")


@require_GET
def activity(request: SignedIn) -> HttpResponse:
    """Everything slow the user may see, newest first; polled in place while any of it is alive."""
    page = list_page(JOB_LIST, _visible(request), request.GET)
    context = {"page": page, "is_live": any(not job.is_final for job in page.rows)}
    if request.htmx:
        return render(request, "jobs/_table.html", context)
    return render(request, "jobs/activity.html", {**context, "has_worker": has_live_worker()})


@require_GET
def project_activity(request: SignedIn, slug: str) -> HttpResponse:
    project = get_project(request.user, slug)
    page = list_page(JOB_LIST, _visible(request).filter(project=project), request.GET)
    context = {
        "page": page,
        "is_live": any(not job.is_final for job in page.rows),
        "project": project,
        "role": role_in(request.user, project),
    }
    template = "jobs/_table.html" if request.htmx else "jobs/project_activity.html"
    return render(request, template, context)


@require_GET
def detail(request: SignedIn, pk: str) -> HttpResponse:
    """A job's page: state, events, log, what was asked and what came of it."""
    job = get_object_or_404(_visible(request), pk=pk)
    context = {"job": job, "piece": read_log(job, cursor="0"), **_status(request, job)}
    return render(request, "jobs/detail.html", context)


@require_GET
def status(request: SignedIn, pk: str) -> HttpResponse:
    """The live part. Once the job has ended it carries no trigger, and polling stops."""
    job = get_object_or_404(_visible(request), pk=pk)
    return render(request, "jobs/_status.html", _status(request, job))


def _status(request: SignedIn, job: Job) -> dict[str, object]:
    may_cancel = Job.objects.cancellable_by(request.user).filter(pk=job.pk).exists()
    role = role_in(request.user, job.project) if job.project else None
    return {
        "job": job,
        "events": list(job.events.all()),
        "may_cancel": may_cancel and not job.is_final,
        "project": job.project,
        "role": role,
    }


@require_GET
def log(request: SignedIn, pk: str) -> HttpResponse:
    """What the log has gained since `cursor`, and the place that asks for more while there is."""
    job = get_object_or_404(_visible(request), pk=pk)
    try:
        piece = read_log(job, cursor=request.GET.get("cursor", "0"))
    except ValidationError as error:
        raise Http404(error.messages[0]) from None
    return render(request, "jobs/_log_piece.html", {"job": job, "piece": piece})


@require_POST
def cancel(request: SignedIn, pk: str) -> HttpResponse:
    job = get_object_or_404(_visible(request), pk=pk)
    request_cancel(job, user=request.user)
    if request.htmx:
        return render(request, "jobs/_status.html", _status(request, _visible(request).get(pk=pk)))
    return redirect("jobs:detail", pk=pk)


@require_http_methods(["GET", "POST"])
def new_check(request: SignedIn, slug: str) -> HttpResponse:
    """Launch a check of a target in this project."""
    project = get_project(request.user, slug, role=Role.CONTRIBUTOR)
    form = CheckForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        asked = form.cleaned_data
        spec = CheckSpec(seconds=asked["seconds"], memory_mb=asked["memory_mb"])
        try:
            target = asked["target"].slug
            job = launch_check(project, target_slug=target, spec=spec, user=request.user)
        except (ValidationError, Conflict) as error:
            add_errors(form, error)
        else:
            return redirect("jobs:detail", pk=job.pk)
    context = {"form": form, "project": project, "role": role_in(request.user, project)}
    return render(request, "jobs/new_check.html", context)
