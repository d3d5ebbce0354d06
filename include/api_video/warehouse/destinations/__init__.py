"""What a destination needs beyond dlt's own, one file each. A new one begins in `settings/destination.py`.

May import: what warehouse may.

- make: how the destination is made of the settings
- duckdb: DuckDB: waiting for the file, its memory
- duckdb_row_files: how DuckDB loads files of rows
- row_files: rows written past dlt's normalizer
- ducklake: DuckLake
- locking_pool: connections to a file that one process at a time has open
- configured_once: a destination whose configuration is looked up once
- delta_lake: Delta tables in a folder or a bucket
- errors: what a destination's failure means
"""
