"""What is read on, what is news, what is gone: decided from pages and from what is loaded. No network, no SQL.

May import: errors, catalog, settings, api.
How far a list is read, when a row counts as removed: here.
"""
