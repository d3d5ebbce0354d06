"""One load of a table at a time, and one process in a DuckDB file.

May import: what warehouse may.

- table_lock: how long a run waits for a table, and what it says
- session_locks: locks of the kernel and of PostgreSQL
- leases: locks that run out
- duckdb_file: the lock of a DuckDB file
"""
