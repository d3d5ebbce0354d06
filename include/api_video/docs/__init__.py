"""Generated documents: the data dictionary, README's table of resources.

May import: catalog, settings, warehouse.
What a generated document says: here.
"""
