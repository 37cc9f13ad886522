"""Definitions as documents: what forms edit, REST takes, YAML files hold and exports contain.

One pydantic model for each, so one validation and one JSON Schema for all of them.
"""
