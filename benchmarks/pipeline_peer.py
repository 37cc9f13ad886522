"""By hand, for `benchmarks.pipeline`: the same features as one script of DuckDB SQL.

Run as a file: `python -I benchmarks/pipeline_peer.py <folder of tables> <work> <memory, MB>`.
"""

import os
import sys

import duckdb
from deltalake import (
    CommitProperties,
    DeltaTable,
    Transaction,
    WriterProperties,
    write_deltalake,
)

FEATURES = """
CREATE TEMP TABLE features AS
WITH weekly AS (
    SELECT t.household_id, t.week, count(DISTINCT basket_id) AS visits, sum(sales_value) AS spend,
        count(DISTINCT department) AS departments, sum(coupon_disc + coupon_match_disc) AS coupons,
        max(sales_value / quantity) AS price
    FROM transactions t LEFT JOIN products p USING (product_id)
    WHERE quantity > 0 AND sales_value >= 0
    GROUP BY ALL
), recent AS (
    SELECT *, sum(visits) OVER four AS visits_4w, sum(visits) OVER twelve AS visits_12w,
        sum(spend) OVER four AS spend_4w, sum(spend) OVER twelve AS spend_12w,
        week - lag(week) OVER (PARTITION BY household_id ORDER BY week) AS weeks_since
    FROM weekly
    WINDOW four AS (PARTITION BY household_id ORDER BY week
            RANGE BETWEEN 3 PRECEDING AND CURRENT ROW),
        twelve AS (PARTITION BY household_id ORDER BY week
            RANGE BETWEEN 11 PRECEDING AND CURRENT ROW)
)
SELECT r.* REPLACE (visits_4w::BIGINT AS visits_4w, visits_12w::BIGINT AS visits_12w),
    age, coalesce(income, 'unknown') AS income, household_size,
    CASE WHEN week <= 36 THEN 'train' WHEN week <= 44 THEN 'validation' ELSE 'test' END AS part
FROM recent r LEFT JOIN demographics d USING (household_id)
"""
CHECKS = """
SELECT count(*) FILTER (household_id IS NULL OR week IS NULL),
    count(*) - count(DISTINCT (household_id, week)), count(*) FILTER (visits < 1)
FROM features
"""


def main(folder: str, work: str, memory_mb: int) -> None:
    con = duckdb.connect(
        config={
            "memory_limit": f"{int(memory_mb * 0.6)}MB",
            "threads": os.cpu_count() or 1,
            "temp_directory": f"{work}/spill",
        }
    )
    for name in ("transactions", "products", "demographics"):
        files = [uri.removeprefix("file://") for uri in DeltaTable(f"{folder}/{name}").file_uris()]
        con.read_parquet(files).create_view(name)
    con.execute(FEATURES)
    if con.execute(CHECKS).fetchone() != (0, 0, 0):
        raise SystemExit("a check does not hold")
    write_deltalake(
        f"{work}/table",
        con.execute("SELECT * FROM features").to_arrow_reader(65_536),
        mode="overwrite",
        schema_mode="overwrite",
        writer_properties=WriterProperties(
            compression="ZSTD", compression_level=1, max_row_group_size=131_072
        ),
        commit_properties=CommitProperties(app_transactions=[Transaction("by-hand", 0)]),
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
