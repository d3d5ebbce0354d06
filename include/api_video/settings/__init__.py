"""What the user says, and where it is looked up: options, accounts, filters, schedule, destination, addresses.

May import: errors, catalog.
A new option, a default, a setting of a destination: here.
"""
