"""One resource from the API into the warehouse.

May import: errors, messages, catalog, settings, api, sync, warehouse.

Change here: what becomes of a row on its way; what one resource does in one run.

- source: the dlt source, and the order of its resources
- kinds: which kind of reading a `Sync` is
- reading: what all kinds have in common, and the row for the ledger
- list_reading: requests and answers of lists
- asked_reading: what the warehouse tells to request
- detail_reading: requests and answers of single objects, one per row of a parent
- unit_reading: several answers that belong together
- day_reading: requests and answers of days of analytics
- parent_list_reading: requests and answers of lists, one per row of a parent
- pages: how dlt goes from page to page
- derived: columns that are made of a secret
- redaction: how secrets are taken out of a row (which fields: `catalog`)
- private_tokens: how tokens are taken out of URLs: a new form
- plain_rows: rows that are as documented
- fitting: values that fit no column
- rejected: rows that fit no table
- full_refresh: how tables start anew
- key_check: the request that tells a wrong key
- runner: what one task does, and a plain run
"""
