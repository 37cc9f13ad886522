"""Template tags and filters that every template has without loading them."""

import datetime as dt
from typing import Any

from django import forms, template
from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from apps.core.listing import Page

register = template.Library()

# What a state is called, how it looks and which icon says it: never colour alone.
STATES = {
    "queued": ("Queued", "idle", "clock"),
    "running": ("Running", "run", "loader-2"),
    "succeeded": ("Succeeded", "ok", "check"),
    "failed": ("Failed", "fail", "x"),
    "cancelled": ("Cancelled", "idle", "player-stop"),
    "unknown": ("Unknown", "warn", "question-mark"),
    "ready": ("Ready", "ok", "check"),
    "limited": ("Ready, with limits", "warn", "alert-triangle"),
    "unreachable": ("Unreachable", "fail", "x"),
    "paused": ("Paused", "wait", "hand-stop"),
    "active": ("Active", "ok", "check"),
    "invited": ("Invited", "wait", "mail"),
    "deactivated": ("Deactivated", "idle", "user-off"),
    "archived": ("Archived", "idle", "archive"),
    "expired": ("Expired", "idle", "clock"),
    "revoked": ("Revoked", "idle", "x"),
}
# What an event's verb reads like between who and what, where its own words do not.
VERBS = {
    "job.cancel_requested": "asked to stop",
    "job.cancelled": "stopped",
    "job.failed": "could not finish",
    "job.succeeded": "finished",
    "member.role_changed": "changed the role of",
    "member.took_ownership": "took ownership of",
    "person.accepted": "accepted the invitation of",
    "person.invitation_revoked": "took back the invitation of",
    "person.made_site_admin": "made a site admin of",
    "person.no_longer_site_admin": "took site administration from",
    "portal.restored": "restored the portal from",
    "target.observed": "saw a change of",
}
SIGNS = {
    "backup": "database-export",
    "job": "activity",
    "member": "users",
    "person": "user",
    "project": "folder",
    "target": "server",
    "token": "key",
}
# What a browser calls itself, the telling word first: most claim to be several others too.
BROWSERS = ("Edg", "OPR", "Firefox", "Chrome", "Safari")
NAMES = {"Edg": "Edge", "OPR": "Opera"}
SYSTEMS = ("Android", "iPhone", "iPad", "Windows", "Mac OS", "CrOS", "Linux")
SPANS = ((86400, "d"), (3600, "h"), (60, "min"))
UNITS = ("B", "KB", "MB", "GB", "TB")


@register.simple_tag
def icon(name: str, extra: str = "") -> SafeString:
    """An icon of the vendored sprite, decorative: the words beside it say the same."""
    address = static("vendor/icons/sprite.svg")
    return format_html(
        '<svg class="i {}" aria-hidden="true"><use href="{}#{}"/></svg>', extra, address, name
    )


@register.simple_tag
def state(name: str, label: str = "") -> SafeString:
    """A pill that says a state."""
    text, look, sign = STATES.get(name, (name.capitalize(), "idle", "minus"))
    drawn = icon(sign, "spin" if look == "run" else "")
    return format_html('<span class="p-state {}">{}{}</span>', look, drawn, label or text)


@register.simple_tag
def when(moment: dt.datetime | None) -> SafeString:
    """How long ago (or ahead), with the exact time for machines and in the title."""
    if moment is None:
        return format_html('<span class="muted">{}</span>', "never")
    seconds = (timezone.now() - moment).total_seconds()
    text = "just now" if abs(seconds) < 5 else _span(abs(seconds))
    if abs(seconds) >= 5:
        text = f"{text} ago" if seconds > 0 else f"in {text}"
    here = timezone.localtime(moment)
    return format_html(
        '<time data-ago datetime="{}" title="{}">{}</time>',
        here.isoformat(),
        f"{here:%d %b %Y, %H:%M:%S %Z}",
        text,
    )


@register.simple_tag
def duration(start: dt.datetime | None, end: dt.datetime | None) -> str:
    """From start to end, or until now; with its unit."""
    if start is None:
        return "none"
    seconds = ((end or timezone.now()) - start).total_seconds()
    return f"{seconds:.1f} s" if seconds < 10 else _span(seconds)


def _span(seconds: float) -> str:
    for size, unit in SPANS:
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


@register.filter(name="bytes")
def size_of(value: int) -> str:
    """A size in bytes, in the unit people read."""
    amount = float(value)
    for unit in UNITS:
        if amount < 1000 or unit == UNITS[-1]:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return ""


@register.filter
def did(verb: str) -> str:
    """An event's verb in words: “launched” for `job.launched`."""
    return VERBS.get(verb) or verb.rpartition(".")[2].replace("_", " ")


@register.filter
def code_spans(text: str) -> SafeString:
    """Text of the document's, where what stands between `ticks` is code."""
    parts = str(text).split("`")
    if len(parts) % 2 == 0:
        return format_html("{}", text)
    marked = [format_html("<code>{}</code>" if n % 2 else "{}", t) for n, t in enumerate(parts)]
    return format_html_join("", "{}", ((each,) for each in marked))


@register.filter
def sign_of(kind: str) -> str:
    """The icon of a kind of thing."""
    return SIGNS.get(kind, "timeline")


@register.filter
def browser(agent: str) -> str:
    """“Firefox 140 on Linux” for a User-Agent; what it says itself where that is unknown."""
    name = next((each for each in BROWSERS if f"{each}/" in agent), "")
    if not name:
        return agent or "unknown"
    sign = "Version" if name == "Safari" else name
    version = agent.partition(f"{sign}/")[2].partition(".")[0]
    system = next((each for each in SYSTEMS if each in agent), "")
    return f"{NAMES.get(name, name)} {version}{f' on {system}' if system else ''}"


@register.filter
def initials(name: str) -> str:
    words = str(name).split()
    return "".join(word[0] for word in (words[:1] + words[-1:] if len(words) > 1 else words))


@register.filter
def caret(page: Page[Any]) -> str:
    """A caret under the column where the page's filter is wrong."""
    return " " * (page.filter_error.column - 1) + "^" if page.filter_error else ""


@register.inclusion_tag("_field.html")
def field(bound: forms.BoundField) -> dict[str, Any]:
    """A form's field: label, control, help and error, tied together for screen readers too."""
    widget = bound.field.widget
    kind = "plain"
    if isinstance(widget, forms.CheckboxSelectMultiple | forms.RadioSelect):
        kind = "group"
    elif isinstance(widget, forms.CheckboxInput):
        kind = "check"
    name = bound.auto_id or bound.html_name
    described = [f"{name}-help"] if bound.help_text else []
    described += [f"{name}-error"] if bound.errors else []
    attributes: dict[str, str | bool] = {"aria-invalid": "true"} if bound.errors else {}
    if described and kind != "group":
        attributes["aria-describedby"] = " ".join(described)
    if kind == "plain":
        attributes["class"] = "form-select" if isinstance(widget, forms.Select) else "form-control"
    return {
        "bound": bound,
        "kind": kind,
        "name": name,
        "described": " ".join(described),
        "control": bound.as_widget(attrs=attributes),
    }


@register.inclusion_tag("_nav_item.html", takes_context=True)
def nav_item(
    context: template.Context, page: str, sign: str, words: str, slug: str = "", also: str = ""
) -> dict[str, Any]:
    """An entry of the navigation. `also` names pages, apart by blanks, that count as this one."""
    here = context.get("page_name", "")
    return {
        "address": reverse(page, args=[slug] if slug else []),
        "is_here": here == page or here in also.split(),
        "sign": sign,
        "words": words,
    }


@register.simple_tag(takes_context=True)
def page_link(context: template.Context, cursor: str) -> str:
    """This page's address with another cursor; filter and size stay."""
    query = context["request"].GET.copy()
    query["cursor"] = cursor
    return f"?{query.urlencode()}"


@register.inclusion_tag("_diff.html")
def changes(event: Any) -> dict[str, Any]:
    """What an event changed: name, before and after of each field."""
    names = sorted(event.before.keys() | event.after.keys())
    return {"rows": [(name, event.before.get(name), event.after.get(name)) for name in names]}
