"""Targets: the list, a target's page, and pausing it."""

from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from apps.core.requests import SignedIn
from apps.targets.models import Desired, Target
from apps.targets.services import engine_info, set_desired


@require_GET
def target_list(request: SignedIn) -> HttpResponse:
    """Every target with its live state. There are few, so they are not paged."""
    context = {"targets": Target.objects.all()}
    template = "targets/_cards.html" if request.htmx else "targets/list.html"
    return render(request, template, context)


@require_GET
def detail(request: SignedIn, slug: str) -> HttpResponse:
    target = get_object_or_404(Target, slug=slug)
    context = {"target": target, "info": engine_info(target)}
    template = "targets/_live.html" if request.htmx else "targets/detail.html"
    return render(request, template, context)


@require_POST
def change(request: SignedIn, slug: str) -> HttpResponse:
    """Pause or resume. Site admins only."""
    target = get_object_or_404(Target, slug=slug)
    if not request.user.is_site_admin:
        raise PermissionDenied("Only a site admin can pause or resume a target.")
    paused = request.POST.get("desired") == Desired.PAUSED
    desired = Desired.PAUSED if paused else Desired.ACTIVE
    set_desired(target, desired=desired, user=request.user)
    return redirect("targets:detail", slug=slug)
