"""What is loaded, asked and changed in SQL: schema, ledger, upkeep.

May import: errors, messages, catalog, settings, sync.

Change here: SQL, schema, ledger, locks; what a destination needs beyond dlt's own.

- warehouse: the dataset: its tables, how they are made, what they have grown
- list_queries: what a list sync asks
- parents: which rows have an object or a list of their own, which have lost their parent
- detail_queries: which single objects wait to be asked for
- day_queries: which days are loaded
- parent_list_queries: which lists of parents wait to be requested
- asked_lists: columns and rows of `_asked`
- rejected_rows: columns and rows of `_rejected`
- ledger: columns of the ledger, how it is read and written
- upkeep: which old runs are forgotten
- mending: what two loads at once have left
- schema: dlt's schema and its hints; columns of `_checks`
- sql: SQL that any destination knows
- comments: descriptions in the destination
- dependents: views upon our tables
- pipelines: dlt's pipelines and their working files
"""
