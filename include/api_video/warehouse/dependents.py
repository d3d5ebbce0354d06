"""Finds users' views on our tables: PostgreSQL refuses to drop a table under a view, so a full refresh empties it."""

from __future__ import annotations

from collections.abc import Sequence

from include.api_video.warehouse.sql import Query

DIALECT = "postgres"
# A view depends on a table through its rewrite rule (PostgreSQL documentation, System Catalogs, pg_depend).
VIEWS = """
SELECT DISTINCT views_in.nspname, views.relname
FROM pg_depend JOIN pg_rewrite ON pg_depend.classid = 'pg_rewrite'::regclass AND pg_rewrite.oid = pg_depend.objid
JOIN pg_class views ON views.oid = pg_rewrite.ev_class JOIN pg_namespace views_in ON views_in.oid = views.relnamespace
JOIN pg_class tables ON pg_depend.refclassid = 'pg_class'::regclass AND tables.oid = pg_depend.refobjid
JOIN pg_namespace tables_in ON tables_in.oid = tables.relnamespace
WHERE tables_in.nspname = %s AND tables.relname IN ({marks}) AND views.oid <> tables.oid ORDER BY 1, 2
"""


def views_upon(query: Query, tables: Sequence[str]) -> list[str]:
    """Names of the views that keep the destination from dropping these tables; empty except on PostgreSQL."""
    if query.client.capabilities.sqlglot_dialect != DIALECT or not tables:
        return []
    sql = VIEWS.format(marks=", ".join(["%s"] * len(tables)))
    return [f"{schema}.{view}" for schema, view in query.rows(sql, query.client.dataset_name, *tables)]
