"""One load of a table at a time, whoever runs it; one process in a DuckDB file.

May import: what warehouse may.
How a destination holds a lock, how long is waited: here.
"""
