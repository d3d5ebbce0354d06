"""What the package adds to Airflow beside its DAG. Every process of Airflow imports the plugin, so that modules here are
imported by those that need them, not at start.
"""
