"""What api.video has: one file per family of endpoints, with its columns, and the table of all endpoints.

May import: nothing.
Change here: a new list, a column, a field that must never be stored.
"""
