"""Templates and stylesheets fit together, and keep to what the CSP allows."""

import gzip
import re
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.test import Client

from apps.core.templatetags.portolan import SIGNS, STATES
from tests.factories import make_user

ROOT = Path(__file__).resolve().parent.parent.parent
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
CSS = {path.name: path.read_text() for path in (ROOT / "static" / "css").glob("*.css")}
SCRIPTS = {path.name: path.read_text() for path in (ROOT / "static" / "js").glob("*.js")}
TAG = re.compile(r"{%.*?%}|{{.*?}}")
FIRST_LOAD_BYTES = 250_000
# Names that scripts, not stylesheets, look for.
FOR_SCRIPTS = {"list"}


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_template_has_nothing_inline(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:|hx-on|\bjs:", text)
    assert not re.search(r"<script(?![^>]*\ssrc=)", text)
    assert not re.search(r'hx-trigger="[^"]*\[', text), "trigger filters need eval"


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_template_is_short_and_uses_classes_that_exist(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 150
    styled = set(re.findall(r"\.(-?[a-zA-Z][\w-]*)", " ".join(CSS.values()))) | FOR_SCRIPTS
    used: set[str] = set()
    for value in re.findall(r'class="((?:{%.*?%}|{{.*?}}|[^"{])*)"', text):
        used |= set(TAG.sub(" ", value).split())
    assert used - styled == set()


def test_every_icon_is_in_the_sprite() -> None:
    sprite = (ROOT / "static/vendor/icons/sprite.svg").read_text()
    drawn = set(re.findall(r'<symbol id="([^"]+)"', sprite))
    asked = {sign for _, _, sign in STATES.values()} | set(SIGNS.values())
    for path in TEMPLATES:
        asked |= set(re.findall(r'{% icon "([^"]+)"', path.read_text()))
        asked |= set(re.findall(r'{% nav_item "[^"]+" "([^"]+)"', path.read_text()))
        asked |= set(re.findall(r'_empty.html" with icon="([^"]+)"', path.read_text()))
    assert asked - drawn == set()


def test_every_class_of_ours_is_used() -> None:
    written = "".join(path.read_text() for path in TEMPLATES) + "".join(SCRIPTS.values())
    written += (ROOT / "apps/core/templatetags/portolan.py").read_text()
    ours = set(re.findall(r"\.(p-[\w-]+)", " ".join(CSS.values())))
    assert {name for name in ours if name not in written} == set()


def test_stylesheets_and_scripts_are_small() -> None:
    for name, text in {**CSS, **SCRIPTS}.items():
        assert len(text.splitlines()) <= 400, name


def test_home_page_loads_within_its_budget(db: None) -> None:
    client = Client()
    client.force_login(make_user(), backend="allauth.account.auth_backends.AuthenticationBackend")
    html = client.get("/").content
    named = {_plain(name) for name in re.findall(r'/static/([^"#]+)', html.decode())}
    named |= {found for name in list(named) for found in _named_in_css(name)}
    files = [_source(name).read_bytes() for name in named]
    total = sum(len(gzip.compress(each)) for each in [html, *files])
    assert 50_000 < total < FIRST_LOAD_BYTES


def _plain(name: str) -> str:
    """The source's name of a collected file: without the hash of its content."""
    return re.sub(r"\.[0-9a-f]{12}\.", ".", name)


def _source(name: str) -> Path:
    return Path(str(finders.find(name)))


def _named_in_css(name: str) -> list[str]:
    if not name.endswith(".css"):
        return []
    return re.findall(r'url\("\.\./([^"]+)"\)', _source(name).read_text())
