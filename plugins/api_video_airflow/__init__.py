"""What the package adds to Airflow beside its DAG: the page "api.video", the connection type, what tasks inherit.

Every process of Airflow imports the plugin, so that modules here are imported by those that need them, not at start.

- messages: what the page says of a run: a table's state and its reason, failures, refusals
- templates/page.html: all other words of the page, and how it looks
- page: the page's addresses, and who may see them
- state: what the page shows as a whole: which run, its figures, how many runs in a row are proven
- tables: what the page knows of each table: equal, not proven, failed; its checks
- runs: the last runs, as the page shows them
- history: where the page reads what runs left
- chart: the charts of the last runs
- formats: numbers, times and counts as the page writes them
- connection: the connection type "api.video", its form and its Test button
- provider: how Airflow is told of the connection type
- warm_up: what tasks inherit, so that they need not import it
"""
