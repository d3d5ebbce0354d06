"""The user's settings and where they are looked up: options, accounts, filters, schedule, destination, addresses.

May import: errors, catalog.
Change here: a new option, a default, a setting of a destination.
"""
