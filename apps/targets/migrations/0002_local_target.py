"""The first target: this machine."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def make_local_target(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    target = apps.get_model("targets", "Target")
    target.objects.get_or_create(slug="local", defaults={"name": "This machine", "engine": "local"})


class Migration(migrations.Migration):
    dependencies = [("targets", "0001_initial")]
    operations = [migrations.RunPython(make_local_target, migrations.RunPython.noop)]
