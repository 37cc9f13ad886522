"""Backups, for site admins."""

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from apps.core.listing import list_page
from apps.core.requests import SignedIn
from apps.overview.lists import BACKUP_LIST
from apps.overview.models import Backup
from apps.overview.services import back_up_portal


@require_GET
def backups(request: SignedIn) -> HttpResponse:
    """Every backup, newest first; polled in place while one is being made."""
    if not request.user.is_site_admin:
        raise Http404
    page = list_page(BACKUP_LIST, Backup.objects.select_related("job"), request.GET)
    context = {"page": page, "is_live": any(not backup.job.is_final for backup in page.rows)}
    template = "overview/_backups.html" if request.htmx else "overview/backups.html"
    return render(request, template, context)


@require_POST
def new_backup(request: SignedIn) -> HttpResponse:
    if not request.user.is_site_admin:
        raise Http404
    backup = back_up_portal(request.user, include_lake="rows_only" not in request.POST)
    messages.success(request, f"{backup.archive} is being written.")
    return redirect("overview:backups")
