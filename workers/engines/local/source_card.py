"""What this machine does with each field of a source's definition, and of the jobs that read it."""

from workers.engines.base import HONOURED, FieldSupport, JobSupport, Support

BY_PORTAL = FieldSupport(Support.HONOURS, "the portal looks the file up and names its path")
DEFINITION: dict[str, FieldSupport] = {
    "definition": HONOURED,
    "definition.columns": HONOURED,
    "definition.connection": HONOURED,
    "definition.connection.folder.kind": HONOURED,
    "definition.connection.folder.path": BY_PORTAL,
    "definition.connection.folder.pattern": HONOURED,
    "definition.connection.postgresql.database": HONOURED,
    "definition.connection.postgresql.host": HONOURED,
    "definition.connection.postgresql.kind": HONOURED,
    "definition.connection.postgresql.port": HONOURED,
    "definition.connection.postgresql.query": HONOURED,
    "definition.connection.postgresql.table": HONOURED,
    "definition.connection.postgresql.tls": HONOURED,
    "definition.connection.postgresql.user": HONOURED,
    "definition.connection.sqlite.kind": HONOURED,
    "definition.connection.sqlite.path": BY_PORTAL,
    "definition.connection.sqlite.query": HONOURED,
    "definition.connection.sqlite.table": HONOURED,
    "definition.connection.upload.kind": HONOURED,
    "definition.connection.upload.upload": BY_PORTAL,
    "definition.format": HONOURED,
    "definition.format.csv.delimiter": HONOURED,
    "definition.format.csv.encoding": HONOURED,
    "definition.format.csv.header": HONOURED,
    "definition.format.csv.kind": HONOURED,
    "definition.format.csv.types": HONOURED,
    "definition.format.jsonl.kind": HONOURED,
    "definition.format.jsonl.types": HONOURED,
    "definition.format.parquet.kind": HONOURED,
}
REACH: dict[str, FieldSupport] = {
    "path": HONOURED,
    "name": HONOURED,
    "secret": HONOURED,
    "allowed_hosts": HONOURED,
}
SOURCE_JOBS = {
    "ingest": JobSupport(
        "workers.engines.local.ingests:IngestJobs",
        {
            **DEFINITION,
            **REACH,
            "dataset": HONOURED,
            "dataset_slug": HONOURED,
            "table": HONOURED,
            "columns": HONOURED,
            "schema_change": HONOURED,
        },
    ),
    "preview_source": JobSupport(
        "workers.engines.local.ingests:SourcePreviews",
        {**DEFINITION, **REACH, "rows": HONOURED},
        is_interactive=True,
    ),
    "read_rows": JobSupport(
        "workers.engines.local.ingests:RowReads",
        {"path": HONOURED, "number": HONOURED, "limit": HONOURED, "where": HONOURED},
        is_interactive=True,
    ),
}
