"""What api.video has: one file for each family of endpoints with its columns, and the table of them all.

May import: nothing.
A new list, a column, a field that must never be stored: here.
"""
