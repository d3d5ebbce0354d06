"""Additions to Airflow beside the DAG: page, connection type, warm-up.

Every process of Airflow imports the plugin, so these modules are imported only where they are needed.
"""
