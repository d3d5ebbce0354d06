"""What is read on, what is news, what is gone: decided without network and SQL.

May import: errors, catalog, settings, api.

Change here: how far a list is read; when a row is new, changed, removed.

- list_sync: how far a list is read
- uncounted_lists: lists that do not say how long they are: one, or one per row of another
- page_walk: how a list is walked through while it changes
- whole_reading: how a whole list is read, and when the table is proven equal
- removal: when a row counts as removed; what single rows tell; the brake
- search: how rows that are gone are found by halves
- news: which rows are new, changed, restored
- days: which days of analytics to read, and when a day is settled
- day_spans: days in a time zone
- parent_lists: what became of the lists that each row of a parent has
- detail_sync: what became of single objects
- state: what a sync knows of the loaded table
- outcome: what a sync came to, and the hash of a row
- lost_fields: fields that the API no longer sends
"""
