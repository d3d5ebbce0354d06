"""Loads api.video into any warehouse that dlt can write to. Plain Python and dlt: nothing here imports Airflow."""

__version__ = "0.1.0"
