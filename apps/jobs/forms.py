"""The form that launches a check."""

from django import forms

from apps.targets.models import Target


class CheckForm(forms.Form):
    target = forms.ModelChoiceField(
        Target.objects.all(), to_field_name="slug", empty_label=None, label="Target"
    )
    seconds = forms.IntegerField(
        min_value=0,
        max_value=3600,
        initial=0,
        label="Go on reporting for, seconds",
        help_text="Its tests take no time. Let it go on to see a job run, and to try cancelling.",
    )
    memory_mb = forms.IntegerField(
        min_value=64, max_value=65536, initial=256, label="Memory limit, MB"
    )
