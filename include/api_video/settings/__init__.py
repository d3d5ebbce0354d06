"""What the user sets, and where it is looked up.

May import: errors, catalog.

Change here: a setting, its default, the schedule; a new destination (it begins with `DESTINATIONS` in
`destination.py`).

- settings: an option, and its default (of the schedule and the destination: in their own files)
- config: where options are looked up
- accounts: several accounts, each with a DAG and a dataset
- filters: filters of lists
- schedule: when the DAG runs
- destination: which destinations there are (`DESTINATIONS`: a new one begins there); their settings
- addresses: where a key may be sent
- demo: when the demo is loaded
"""
