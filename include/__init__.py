"""The source of the DAG and its demo API, for import as ``include.api_video`` and ``include.demo_api``."""
