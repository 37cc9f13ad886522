"""Pipelines: documents checked, compiled to DuckDB's SQL, run and explained."""
