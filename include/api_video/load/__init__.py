"""One resource from the API into the warehouse: the dlt source, redaction, rows that fit no table, the run.

May import: errors, messages, catalog, settings, api, sync, warehouse.
What becomes of a row on its way, what one task does: here.
"""
