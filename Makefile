# Everything starts from a Python and, for the tests, Kafka (Java and Maven), Go and a Chromium. `make help` lists it.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

BIN := .venv/bin
UV := $(BIN)/uv
USABLE := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 15))
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(LOCK_FLAGS)

# Three files at a time, on three brokers: with two, two cores are idle for a third of the time. In
# order, since the longest ones come early.
PYTEST = $(BIN)/pytest --numprocesses $(or $(WORKERS),3) --dist loadfile --no-loadscope-reorder

# They start daemons by the hundred, simulate days or draw pages: coverage would make them half as
# slow again and more, and finds nothing there that the others do not run.
UNMEASURED = tests/browser tests/faults tests/field tests/simulation
# What they wait for must come in time: with a third file beside, a machine of two cores misses some.
FEWER = --numprocesses $(or $(WORKERS),2)
# They run on what is compiled, or on Python where there is no C compiler.
PROPERTIES = tests/properties
HAS_CC := $(shell command -v cc)

COMPILED = $(CURDIR)/.cache/compiled
PEERS = .cache/peers/.synced

.PHONY: help setup test fuzz simulate dashboards scaling soak pictures demo lint compiled unit kafka browser prometheus helm chart site wheel benchmark peers lock audit sbom format clean

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /|/' | column -t -s '|'

# The first Python that is new enough and can make environments; PYTHON=... names another.
$(UV):
	@for python in $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11); do \
		if "$$python" -c '$(USABLE)' 2>/dev/null; then \
			echo "setting up .venv with $$("$$python" --version)"; \
			"$$python" -m venv .venv; \
			exec $(BIN)/python -m pip install --quiet --require-hashes -r requirements/build.txt; \
		fi; \
	done; \
	echo "make: needs Python 3.11 to 3.14 with venv and pip (set PYTHON=/path/to/python3)" >&2; \
	exit 1

# The lock decides what is in .venv: what it does not name is taken out again.
.venv/.synced: requirements/dev.txt pyproject.toml | $(UV)
	@$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements/dev.txt
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

setup: .venv/.synced ## the environment in .venv, from the hashed lock

test: lint kafka browser prometheus helm ## everything that must hold: lint, types, layers, all tests, coverage
	@$(PYTEST) --cov --cov-report=term $(UNMEASURED:%=--ignore=%) --ignore=$(PROPERTIES) $(PYTEST_FLAGS)
	@$(if $(HAS_CC),nice make --no-print-directory $(COMPILED) & )status=0; \
		$(PYTEST) $(FEWER) $(UNMEASURED) $(if $(HAS_CC),,$(PROPERTIES)) $(PYTEST_FLAGS) || status=$$?; \
		wait; exit $$status
	@$(if $(HAS_CC),$(MAKE) --no-print-directory compiled,echo "no C compiler (cc): the tests did not run on compiled modules")

lint: setup ## style, format, types, layers, schemas
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec docker-compose.yml
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-issue-forms \
		$(filter-out %/config.yml,$(wildcard .github/ISSUE_TEMPLATE/*.yml))

compiled: $(COMPILED) ## the tests of what is compiled, on what was compiled
	@PYTHONPATH=$(COMPILED) $(BIN)/python -P -c "import consumer.pipeline.event_handler as p; print('testing', p.__file__)"
	@PYTHONPATH=$(COMPILED) $(PYTEST) -m "not broker" tests/unit/delivery tests/unit/documents tests/unit/events \
		tests/unit/hooks tests/unit/matching tests/unit/records tests/unit/stream tests/unit/pipeline \
		tests/properties tests/contract

unit: setup browser prometheus helm ## the tests that need no Kafka
	@$(PYTEST) -m "not broker" $(PYTEST_FLAGS)

kafka: setup ## say which Kafka the tests use, and fetch it where that is Maven's
	@PYTHONPATH=tests $(BIN)/python -m support.find_kafka

browser: setup ## say which browser the tests use, and install Debian's Chromium where that may be done
	@PYTHONPATH=tests $(BIN)/python -m support.find_browser

prometheus: setup ## say which Prometheus the tests use, and unpack Debian's where there is none
	@PYTHONPATH=tests $(BIN)/python -m support.find_prometheus

helm: setup ## compile what renders the Helm chart in the tests, from Helm's own packages (wants Go)
	@PYTHONPATH=tests $(BIN)/python -m support.charts

chart: helm ## the Helm chart: lint, every variant against the schemas of Kubernetes, its promises
	@$(BIN)/pytest --quiet --numprocesses 0 tests/unit/deploy/test_chart*.py $(PYTEST_FLAGS)

fuzz: setup ## a longer search for bytes that do harm: events, hooks, settings, responses
	@$(BIN)/pytest --hypothesis-profile=fuzz -o timeout=1800 tests/properties/test_*bytes.py \
		tests/properties/test_written_documents.py $(PYTEST_FLAGS)

simulate: setup ## replicas on virtual time, broker and receivers as models (SIMULATE_FLAGS)
	@PYTHONPATH=tests $(BIN)/python -m simulation $(SIMULATE_FLAGS)

dashboards: setup ## write deploy/dashboards anew from tests/dashboards
	@PYTHONPATH=tests $(BIN)/python -m dashboards

scaling: setup ## scalers beside each other on simulated days, for docs/operations.md
	@PYTHONPATH=tests $(BIN)/python -m scaling

soak: kafka ## ten minutes of load: memory, open files and sockets must stay flat (SOAK_FLAGS)
	@PYTHONPATH=tests $(BIN)/python -m support.soak $(SOAK_FLAGS)

pictures: setup browser ## the panel's pictures in docs/pictures, to be looked at before they are committed
	@PYTHONPATH=tests $(BIN)/python -m support.pictures

demo: setup ## the whole system on this machine, on generated events
	@$(BIN)/hookstream demo $(DEMO_FLAGS)

site: setup ## the documentation as a site, in site/
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --clean

wheel: setup ## dist/, with what runs for every event compiled (wants a C compiler)
	@rm -rf dist
	@HATCH_BUILD_HOOK_ENABLE_MYPYC=true $(UV) build --quiet --no-build-isolation --python $(BIN)/python

# By way of the sdist, so that no compiled module stays between the sources and hides a change.
$(COMPILED): $(shell find consumer -name '*.py') pyproject.toml
	@$(MAKE) --no-print-directory wheel
	@rm -rf $@
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --target $@ dist/*.whl
	@touch $@

# What the daemon is compared with never gets into its own environment.
$(PEERS): requirements/benchmark.txt | $(UV)
	@$(UV) venv --quiet --clear --python $(BIN)/python .cache/peers
	@$(UV) pip sync --quiet --python .cache/peers/bin/python --require-hashes requirements/benchmark.txt
	@touch $@

peers: $(PEERS) ## what the benchmark compares the daemon with, in .cache/peers

benchmark: kafka $(COMPILED) $(PEERS) ## what the daemon costs (wants nginx and a C compiler)
	@PYTHONPATH=$(COMPILED) $(BIN)/python -m benchmarks $(BENCHMARK_FLAGS)

format: setup ## let ruff write the format
	@$(BIN)/ruff check --fix --quiet
	@$(BIN)/ruff format --quiet

lock: $(UV) ## write requirements/ anew from pyproject.toml (LOCK_FLAGS=--upgrade for new versions)
	@$(COMPILE) --group build --output-file requirements/build.txt
	@$(COMPILE) --extra avro --extra demo --extra protobuf --extra tracing --output-file requirements/runtime.txt pyproject.toml
	@$(COMPILE) --extra avro --extra demo --extra protobuf --extra tracing --group dev -c requirements/build.txt -c requirements/runtime.txt \
		--output-file requirements/dev.txt pyproject.toml
	@$(COMPILE) --group benchmark -c requirements/dev.txt --output-file requirements/benchmark.txt

audit: $(UV) ## known vulnerabilities of what is locked (asks a database on the network)
	@$(UV) tool run --quiet pip-audit --disable-pip --require-hashes -r requirements/runtime.txt

sbom: $(UV) ## what the daemon is made of, as CycloneDX: dist/sbom.json (wants the network)
	@mkdir -p dist
	@$(UV) tool run --quiet --from cyclonedx-bom cyclonedx-py requirements requirements/runtime.txt \
		--pyproject pyproject.toml --output-reproducible --output-file dist/sbom.json

clean: ## forget the environment and every cache
	@rm -rf .venv .cache .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
