"""Generated documents: the data dictionary and README's table of resources.

May import: catalog, settings, warehouse.
Change here: the text of a generated document.
"""
