"""Template tags: what is written, and that nothing typed by people becomes markup."""

import datetime as dt

import pytest
from django import forms
from django.template import Context, Template
from django.utils import timezone

from apps.core.templatetags import portolan

NOW = timezone.now


def draw(text: str, **context: object) -> str:
    return Template(text).render(Context(context))


@pytest.mark.parametrize(
    ("delta", "words"),
    [
        (dt.timedelta(seconds=1), "just now"),
        (dt.timedelta(seconds=42), "42 s ago"),
        (dt.timedelta(minutes=61), "1 h ago"),
        (dt.timedelta(days=3), "3 d ago"),
        (dt.timedelta(minutes=-10, seconds=-5), "in 10 min"),
    ],
)
def test_when_says_how_long_ago_and_exactly(delta: dt.timedelta, words: str) -> None:
    moment = NOW() - delta
    drawn = draw("{% when moment %}", moment=moment)
    assert f">{words}</time>" in drawn
    assert f"{moment:%d %b %Y, %H:%M:%S} UTC" in drawn


def test_when_is_never_for_what_did_not_happen() -> None:
    assert "never" in draw("{% when moment %}", moment=None)


def test_when_is_exact_in_the_zone_of_the_reader() -> None:
    with timezone.override("Europe/Zurich"):
        drawn = draw("{% when moment %}", moment=dt.datetime(2026, 7, 1, 12, 0, tzinfo=dt.UTC))
    assert "14:00:00 CEST" in drawn


@pytest.mark.parametrize(
    ("value", "words"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 KB"), (2_500_000_000, "2.5 GB")]
)
def test_bytes_have_the_unit_people_read(value: int, words: str) -> None:
    assert draw("{{ value|bytes }}", value=value) == words


def test_duration_has_a_unit_and_runs_until_now() -> None:
    assert portolan.duration(None, None) == "none"
    assert portolan.duration(NOW() - dt.timedelta(seconds=3), NOW()) == "3.0 s"
    assert portolan.duration(NOW() - dt.timedelta(hours=2), None) == "2 h"


def test_state_says_itself_in_words_and_icon() -> None:
    drawn = draw('{% state "failed" %}')
    assert "Failed" in drawn
    assert "sprite" in drawn
    assert "&lt;b&gt;" in draw("{% state name %}", name="<b>")


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        ("job.launched", "launched"),
        ("job.failed", "could not finish"),
        ("member.role_changed", "changed the role of"),
    ],
)
def test_event_verbs_read_as_words(verb: str, words: str) -> None:
    assert draw("{{ verb|did }}", verb=verb) == words


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("Takes `a` and `b`.", "Takes <code>a</code> and <code>b</code>."),
        ("A lone ` stays.", "A lone ` stays."),
        ("<b> `<i>`", "&lt;b&gt; <code>&lt;i&gt;</code>"),
    ],
)
def test_ticks_in_the_documents_text_mark_code(text: str, drawn: str) -> None:
    assert draw("{{ said|code_spans }}", said=text) == drawn


class Form(forms.Form):
    name = forms.CharField(help_text="What <b>it</b> is.")
    note = forms.CharField(required=False)
    colours = forms.MultipleChoiceField(
        choices=[("r", "Red")], widget=forms.CheckboxSelectMultiple, help_text="Any."
    )
    agree = forms.BooleanField()


def test_field_ties_label_help_and_error_together() -> None:
    drawn = draw("{% field form.name %}", form=Form({}))
    assert '<label for="id_name">Name</label>' in drawn
    assert 'aria-describedby="id_name-help id_name-error"' in drawn
    assert 'aria-invalid="true"' in drawn
    assert 'id="id_name-help"' in drawn
    assert 'id="id_name-error"' in drawn


def test_field_marks_what_may_be_left_out() -> None:
    assert "optional" in draw("{% field form.note %}", form=Form())
    assert "optional" not in draw("{% field form.name %}", form=Form())


def test_group_of_choices_is_a_described_fieldset() -> None:
    drawn = draw("{% field form.colours %}", form=Form({}))
    assert 'aria-describedby="id_colours-help id_colours-error"' in drawn
    assert "<legend>Colours</legend>" in drawn


def test_check_has_its_label_beside_it() -> None:
    drawn = draw("{% field form.agree %}", form=Form())
    assert drawn.index("<input") < drawn.index('<label for="id_agree">')


def test_error_summary_leads_to_each_field() -> None:
    drawn = draw('{% include "_errors.html" %}', form=Form({}))
    assert '<a href="#id_name">Name</a>' in drawn
    assert '<a href="#id_colours">Colours</a>' in drawn
    assert draw('{% include "_errors.html" %}', form=Form()).strip() == ""


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0", "Firefox 140 on Linux"),
        (
            "Mozilla/5.0 (Windows NT 10.0) Chrome/150.0 Safari/537.36 Edg/150.0",
            "Edge 150 on Windows",
        ),
        ("Mozilla/5.0 (iPhone; like Mac OS X) Version/19.0 Safari/604.1", "Safari 19 on iPhone"),
        ("curl/8.5.0", "curl/8.5.0"),
        ("", "unknown"),
    ],
)
def test_browsers_are_called_what_people_call_them(agent: str, words: str) -> None:
    assert draw("{{ agent|browser }}", agent=agent) == words
