# One verb per command; `make` alone lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
READY := $(VENV)/ready
export AIRFLOW_HOME := $(CURDIR)
export PATH := $(BIN):$(PATH)
# `make run` shows what the package says, not what Airflow says to itself.
QUIET := AIRFLOW__LOGGING__NAMESPACE_LEVELS="airflow=WARNING task=WARNING" PYTHONWARNINGS=ignore

PORT ?= 8080
# One of API_VIDEO_ACCOUNTS: make run ACCOUNT=training
ACCOUNT ?=
DAG := api_video$(if $(filter-out default,$(ACCOUNT)),_$(ACCOUNT))
OF_ACCOUNT := $(if $(ACCOUNT),--account $(ACCOUNT))
# Not LOGGING_LEVEL: that one would empty the tasks' logs, too.
UI := AIRFLOW__API__HOST=127.0.0.1 AIRFLOW__API__PORT=$(PORT) AIRFLOW__API__BASE_URL=http://127.0.0.1:$(PORT) \
	AIRFLOW__LOGGING__NAMESPACE_LEVELS="airflow=WARNING http=WARNING supervisor=WARNING" \
	AIRFLOW__CORE__TEST_CONNECTION=Enabled PYTHONWARNINGS=ignore

# In the environment, in secrets.toml, or in an Airflow Connection; also where that cannot be looked up or read, as the run says.
HAS_KEY := python -m include.api_video has-key $(OF_ACCOUNT) || python -m dags.api_video_connections $(DAG) > /dev/null 2>&1

# What is local is reached without a proxy, whatever HTTP_PROXY says: the demo, Airflow's API, its health checks.
COMMA := ,
export NO_PROXY := localhost,127.0.0.1,::1$(if $(NO_PROXY),$(COMMA)$(NO_PROXY))$(if $(no_proxy),$(COMMA)$(no_proxy))
export no_proxy := $(NO_PROXY)

# Tests: on all cores (JOBS=1: one after the other), in an order of their own each time (SEED: once more in that order).
JOBS ?= logical
PYTEST := python -m pytest --numprocesses=$(JOBS) --no-loadscope-reorder \
	$(if $(SEED),--random-order-seed=$(SEED))

.DEFAULT_GOAL := help
.PHONY: help setup run ui plain doctor notebook test test-all bench screenshots lint docs update oldest clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## make .venv with the pinned packages, and Airflow's home in this folder

$(READY): requirements.txt requirements-dev.txt constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' \
		|| { echo "Python 3.10 to 3.13 is needed; choose one with: make PYTHON=python3.12 ..."; exit 1; }
	@echo "Installing the pinned packages into $(VENV) (about a minute) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	@$(BIN)/airflow db migrate > $(VENV)/airflow-setup.log 2>&1 || { cat $(VENV)/airflow-setup.log; exit 1; }
	@sed -i.bak 's/^load_examples = True/load_examples = False/' airflow.cfg && rm -f airflow.cfg.bak
	@touch $(READY)

run: $(READY) ## load api.video through the DAG; without an API key, load the demo API
	@if $(HAS_KEY); then \
		$(QUIET) airflow dags test $(DAG); \
	else \
		echo "No api.video API key is set (README: Load your own account): loading the demo API with all nine resources."; \
		$(QUIET) python -m include.demo_api exec --fallback -- airflow dags test $(DAG); \
	fi; status=$$?; python -m include.api_video report $(OF_ACCOUNT); exit $$status

plain: $(READY) ## load without Airflow; needs an API key
	@python -m include.api_video $(OF_ACCOUNT)

ui: $(READY) ## a local Airflow with the DAG; prints its address and login (PORT=8080)
	@python -c 'import json, pathlib, secrets; file = pathlib.Path("simple_auth_manager_passwords.json.generated"); \
		file.exists() or file.write_text(json.dumps({"admin": secrets.token_urlsafe(12)})); \
		print("Airflow: http://127.0.0.1:$(PORT)  user admin, password", json.loads(file.read_text())["admin"])'
	@if $(HAS_KEY); then $(UI) airflow standalone; else \
		echo "No api.video API key is set: the DAG loads the demo API, until an Airflow Connection $(DAG) has your key."; \
		$(UI) python -m include.demo_api exec --fallback -- airflow standalone; fi

doctor: $(READY) ## ask api.video, read-only, whether what the package relies on holds; for bug reports
	@python -m include.api_video doctor $(OF_ACCOUNT)

notebook: $(READY) ## charts of the loaded data in the browser, on this machine only
	@python -m marimo run include/notebooks/api_video.py --host 127.0.0.1 --token --include-code

test: $(READY) ## run the tests that take minutes together: all but those marked slow
	@$(PYTEST) -m "not slow" --hypothesis-profile=few

test-all: $(READY) ## run every test (COVERAGE=1: and measure what they cover, which takes longer)
	@$(PYTEST) $(if $(COVERAGE),--cov --cov-report=)

bench: $(READY) ## measure this package beside a plain dlt pipeline and the floor (half an hour)
	@python -m tests.benchmarks

screenshots: $(READY) ## make the pictures of README.md from a real run
	@python -m tests.screenshots

lint: $(READY) ## check style and types
	@ruff check . && ruff format --check . && mypy

docs: $(READY) ## write the generated part of README.md, and docs/data_dictionary.md
	@python -m include.api_video.docs

update: $(READY) ## take the newest supported versions of everything; kept where the tests pass
	@python -m pip install --quiet --disable-pip-version-check uv && python -m tests.versions.update update
	@$(MAKE) --no-print-directory test-all || { python -m tests.versions.update back; \
		echo "The tests do not pass with the newest versions: requirements and constraints are as before."; exit 1; }
	@git diff --stat -- requirements.txt requirements-dev.txt constraints.txt

oldest: ## run the tests with the oldest versions that are supported, in .venv-oldest
	@$(PYTHON) -m venv .venv-oldest
	@.venv-oldest/bin/python -m pip install --quiet --disable-pip-version-check --requirement tests/versions/oldest.txt
	@touch .venv-oldest/ready
	@PYTEST_ADDOPTS="-W default" $(MAKE) --no-print-directory test-all VENV=.venv-oldest # what is deprecated since may warn

clean: ## remove the environment and Airflow's files (its Connections and runs, too); keeps the warehouse
	@rm -rf $(VENV) .venv-oldest airflow.cfg airflow.db* logs simple_auth_manager_passwords.json.generated
