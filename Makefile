# One verb per command; `make` alone lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
PY := "$(BIN)/python"
# Stamps of what is installed: packages to run, for the notebook, for tests. Each command installs what it needs.
READY := $(VENV)/ready
NOTEBOOK := $(VENV)/ready-notebook
DEV := $(VENV)/ready-dev

# The shell may be set up for another Airflow, with its own database, folders and keys. Of Airflow's variables, only
# Connections and secrets backends are kept; all others, and Python's paths, are dropped.
KEPT := AIRFLOW_CONN_% AIRFLOW__SECRETS__%
$(foreach name,$(filter-out $(KEPT),$(filter AIRFLOW% PYTHONPATH PYTHONHOME,$(.VARIABLES))),$(eval unexport $(name)))
export AIRFLOW_HOME := $(CURDIR)
export AIRFLOW__CORE__LOAD_EXAMPLES := False
PATH_BEFORE := $(PATH)
export PATH := $(BIN):$(PATH)

PORT ?= 8080
# One of API_VIDEO_ACCOUNTS: make run ACCOUNT=training
ACCOUNT ?=
DAG := api_video$(if $(filter-out default,$(ACCOUNT)),_$(ACCOUNT))
OF_ACCOUNT := $(if $(ACCOUNT),--account $(ACCOUNT))
# Not LOGGING_LEVEL, which would empty the tasks' logs, too.
UI := AIRFLOW__API__HOST=127.0.0.1 AIRFLOW__API__PORT=$(PORT) AIRFLOW__API__BASE_URL=http://127.0.0.1:$(PORT) \
	AIRFLOW__LOGGING__NAMESPACE_LEVELS="airflow=WARNING http=WARNING supervisor=WARNING" \
	AIRFLOW__CORE__TEST_CONNECTION=Enabled PYTHONWARNINGS=ignore

# Local servers (the demo, Airflow's API, its health checks) are reached without a proxy, whatever HTTP_PROXY says.
COMMA := ,
export NO_PROXY := localhost,127.0.0.1,::1$(if $(NO_PROXY),$(COMMA)$(NO_PROXY))$(if $(no_proxy),$(COMMA)$(no_proxy))
export no_proxy := $(NO_PROXY)

# Tests run on all cores (JOBS=1: one after another), in a new random order each time (SEED: repeat an order).
JOBS ?= logical
PYTEST := $(PY) -m pytest --numprocesses=$(JOBS) --no-loadscope-reorder \
	$(if $(SEED),--random-order-seed=$(SEED))

.DEFAULT_GOAL := help
.PHONY: help setup run ui plain doctor notebook test test-all bench screenshots lint docs update oldest clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## create .venv with the packages to run, and Airflow's home in this folder

# Not with the Python of $(VENV), which may be half-made.
WITH_PYTHON = PATH="$(PATH_BEFORE)" $(PYTHON)
INSTALL = $(WITH_PYTHON) -m include.local.install --venv $(VENV)

$(READY): requirements.txt constraints.txt
	@$(WITH_PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' \
		|| { echo "Python 3.10 to 3.13 is needed; choose one with: make PYTHON=python3.12 ..."; exit 1; }
	@$(INSTALL) requirements.txt
	@echo "Making Airflow's database in this folder ..."
	@"$(BIN)/airflow" db migrate > $(VENV)/airflow-setup.log 2>&1 || { cat $(VENV)/airflow-setup.log; exit 1; }
	@sed -i.bak 's/^load_examples = True/load_examples = False/' airflow.cfg && rm -f airflow.cfg.bak
	@touch $(READY)

$(NOTEBOOK): $(READY) requirements-notebook.txt
	@$(INSTALL) requirements-notebook.txt
	@touch $(NOTEBOOK)

$(DEV): $(READY) requirements-notebook.txt requirements-dev.txt
	@$(INSTALL) requirements-dev.txt
	@touch $(NOTEBOOK) $(DEV)

run: $(READY) ## load api.video through the DAG; without an API key, load the demo API
	@$(PY) -W ignore -m dags.api_video_run $(OF_ACCOUNT)

plain: $(READY) ## load without Airflow; needs an API key
	@$(PY) -m include.api_video $(OF_ACCOUNT)

ui: $(READY) ## a local Airflow with the DAG; prints its address and login (PORT=8080)
	@$(PY) -c 'import json, pathlib, secrets; file = pathlib.Path("simple_auth_manager_passwords.json.generated"); \
		file.exists() or file.write_text(json.dumps({"admin": secrets.token_urlsafe(12)})); \
		print("Airflow: http://127.0.0.1:$(PORT)  user admin, password", json.loads(file.read_text())["admin"])'
	@if $(PY) -W ignore -m dags.api_video_run --has-key $(OF_ACCOUNT); then $(UI) "$(BIN)/airflow" standalone; else \
		echo "No api.video API key is set: the DAG loads the demo API, until an Airflow Connection $(DAG) has your key."; \
		$(UI) $(PY) -m include.demo_api exec --fallback -- "$(BIN)/airflow" standalone; fi

doctor: $(READY) ## check, read-only, what the package relies on at api.video; for bug reports
	@$(PY) -m include.api_video doctor $(OF_ACCOUNT)

notebook: $(NOTEBOOK) ## charts of the loaded data in the browser, on this machine only
	@$(PY) -m marimo run include/notebooks/api_video.py --host 127.0.0.1 --token --include-code

test: $(DEV) ## run the tests that take minutes together: all but those marked slow
	@$(PYTEST) -m "not slow" --hypothesis-profile=few

test-all: $(DEV) ## run every test (COVERAGE=1: and measure what they cover, which takes longer)
	@$(PYTEST) $(if $(COVERAGE),--cov --cov-report=)

bench: $(DEV) ## measure this package beside plain dlt, a Singer tap and the floor (half an hour), and the first minute
	@$(PY) -m tests.benchmarks
	@$(PY) -m tests.benchmarks.first_minute

screenshots: $(DEV) ## take the documents' pictures from a real run
	@$(PY) -m tests.screenshots

lint: $(DEV) ## check style and types
	@$(PY) -m ruff check . && $(PY) -m ruff format --check . && $(PY) -m mypy

docs: $(READY) ## write the documents that come from the code: README.md's table, docs/data_dictionary.md
	@$(PY) -m include.api_video.docs

update: $(DEV) ## update everything to the newest supported versions; kept if the tests pass
	@$(PY) -m tests.versions.update update
	@$(MAKE) --no-print-directory test-all || { $(PY) -m tests.versions.update back; \
		echo "The tests do not pass with the newest versions: requirements and constraints are as before."; exit 1; }
	@git diff --stat -- requirements.txt requirements-notebook.txt requirements-dev.txt constraints.txt

oldest: VENV := .venv-oldest
oldest: ## run the tests with the oldest supported versions, in .venv-oldest
	@$(INSTALL) tests/versions/oldest.txt
	@touch $(addprefix $(VENV)/,ready ready-notebook ready-dev) # nothing newer is put over it
	@PYTEST_ADDOPTS="-W default" $(MAKE) --no-print-directory test-all VENV=.venv-oldest # deprecations since then may warn

clean: ## remove the environment and Airflow's files (its Connections and runs, too); keeps the warehouse
	@rm -rf $(VENV) .venv-oldest .venv-singer airflow.cfg airflow.db* logs simple_auth_manager_passwords.json.generated
