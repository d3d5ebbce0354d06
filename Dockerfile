# Airflow with the package and its pinned dependencies; nothing is installed at start.
FROM apache/airflow:3.3.2
COPY --chown=airflow:0 requirements.txt constraints.txt /tmp/package/
# Destinations beside DuckDB, as dlt calls them: docker compose build --build-arg DLT_EXTRAS=postgres,motherduck
ARG DLT_EXTRAS=postgres
# uv stands beside pip in Airflow's image; where it does not, pip brings it. It trusts the certificates of the image, as pip does.
RUN pip install --no-cache-dir --quiet uv \
    && UV_SYSTEM_CERTS=1 uv pip install --no-cache --python "$(command -v python)" --requirement /tmp/package/requirements.txt "dlt[${DLT_EXTRAS}]"
# Volumes take over these folders' owner.
RUN mkdir -p /opt/airflow/data /opt/airflow/secrets
COPY --chown=airflow:0 dags /opt/airflow/dags
COPY --chown=airflow:0 plugins /opt/airflow/plugins
COPY --chown=airflow:0 include /opt/airflow/include
COPY --chown=airflow:0 docker/make_secrets.py /opt/airflow/docker/make_secrets.py
# PostgreSQL's password, as docker-compose.yaml makes it; mount your own file over it, or use the environment.
RUN ln -s /opt/airflow/secrets/dlt_secrets.toml /opt/airflow/include/.dlt/secrets.toml
