"""What shows that a load is right.

May import: errors, catalog, settings, api, sync, warehouse, load.

Change here: a check, an alert, the doctor.

- checks: a new check
- completeness: how many rows a table should have, by kind of sync
- analytics_checks: sums of analytics against their totals
- report: the report of a run
- alerts: what an alert says
- doctor: what `make doctor` asks
- doctor_analytics: what it asks of analytics
- promises: how the doctor judges
- diagnosis: the doctor's table
"""
