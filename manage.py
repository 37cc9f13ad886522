#!/usr/bin/env python3
"""Portolan's command line: `manage.py up` starts everything, `manage.py help` lists the rest."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    try:
        from django.core.management import execute_from_command_line
    except ImportError:
        sys.exit("Django is not installed in this Python. Run `make run`, which sets up .venv.")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
