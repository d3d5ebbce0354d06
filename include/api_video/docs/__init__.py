"""Documents that are generated.

May import: catalog, settings, warehouse.

Change here: what `make docs` writes.

- dictionary: what the data dictionary says of a table
- write: how it and the generated parts of other documents look
- rooms: how the map of the rooms is read
"""
