-- A place for api.video's tables, for API_VIDEO_DESTINATION=postgres; another one than Airflow's own.
CREATE DATABASE warehouse;
