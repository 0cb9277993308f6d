# Two commands are all the set-up there is: `make serve` and `make test`.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Arguments for `coffre serve` and for pytest; a seed for the simulator.
ARGS ?=
SEED ?= 1

# A client of S3 reads its settings from many variables: tests must see none of the caller's.
CLEAN := env -u AWS_CA_BUNDLE -u AWS_PROFILE -u AWS_CONFIG_FILE -u AWS_SHARED_CREDENTIALS_FILE \
	-u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY -u AWS_SESSION_TOKEN -u AWS_REGION \
	-u AWS_DEFAULT_REGION -u AWS_ENDPOINT_URL -u AWS_ENDPOINT_URL_S3 \
	-u http_proxy -u https_proxy -u all_proxy -u HTTP_PROXY -u HTTPS_PROXY -u ALL_PROXY \
	PATH="$(CURDIR)/.clients/bin:$(CURDIR)/$(BIN):$$PATH" \
	NODE_PATH="$(CURDIR)/.clients/js/node_modules"

.PHONY: serve test check bench long sim clients compat lock api format clean

serve: $(VENV)/.runtime
	@exec $(BIN)/coffre serve $(ARGS)

test: $(VENV)/.dev
	@$(CLEAN) $(BIN)/python -m pytest $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy --strict src tests bench tools conftest.py
	$(BIN)/lint-imports
	$(BIN)/python -m tools.style
	$(BIN)/python -m tools.documents
	$(BIN)/python -m tools.supply

# The tables of docs/performance.md, measured here.
bench: $(VENV)/.dev
	@$(CLEAN) $(BIN)/python -m bench $(ARGS)

# Faults and power losses by the thousand, a million keys, and transfers of 5 GiB, for half an hour when somebody has them.
long: $(VENV)/.dev
	@$(CLEAN) COFFRE_LONG=1 $(BIN)/python -m pytest tests/fault tests/sim tests/scale tests/browser tests/clients/test_large_transfers.py $(ARGS)

# One seed of the simulator, every step told: `make sim SEED=42`.
sim: $(VENV)/.dev
	@$(CLEAN) PYTHONHASHSEED=0 $(BIN)/python -m coffre.testing.simulation --trace $(SEED) $(ARGS)

# The real clients that tests/clients uses (mc needs Go, the JavaScript SDK needs npm).
clients:
	@tools/clients.sh

# Every page of the console, in both languages, themes and widths; the guides' go to docs/images.
screenshots: $(VENV)/.dev
	@$(CLEAN) $(BIN)/python -m tests.browser.screenshots

# How many of S3's operations are answered as AWS does; docs/compatibility.md says which.
compat: $(VENV)/.dev
	@$(BIN)/python -m tools.compatibility --count

# New versions of everything, pinned with hashes.
lock: $(VENV)/.dev
	@tools/lock.sh

# What is written from the management API's table: its description, its page, its client.
api: $(VENV)/.dev
	@$(BIN)/python -m tools.api_client
	@$(BIN)/python -m tools.openapi > docs/openapi.json
	@$(BIN)/python -m tools.api_reference > docs/api.md

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) .clients build

# Each stamp is made once for each change of what it stands for. dev holds all of runtime.
$(VENV)/.runtime: requirements/build.txt requirements/runtime.txt pyproject.toml
	@PYTHON=$(PYTHON) tools/environment.sh runtime
	@touch $@

$(VENV)/.dev: requirements/build.txt requirements/dev.txt pyproject.toml
	@PYTHON=$(PYTHON) tools/environment.sh dev
	@touch $(VENV)/.runtime $@
