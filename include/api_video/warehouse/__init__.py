"""What is loaded, asked and changed in SQL, with its schema, locks, ledger and upkeep.

May import: errors, messages, catalog, settings, sync.
What is asked of the destination, a column of the ledger, a lock: here.
"""
