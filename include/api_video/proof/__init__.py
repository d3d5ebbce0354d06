"""The proof that a load is right: checks, the report, alerts, the doctor.

May import: errors, catalog, settings, api, sync, warehouse, load.
Change here: a new check, what an alert says, what the doctor asks.
"""
