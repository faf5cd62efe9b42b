# Targets for users and developers; `make` alone lists them.
PYTHON ?= python3
SERVE  := .venv
DEV    := .venv-dev
CLIENTS := .venv-clients
RUN    := $(DEV)/bin/python
# Training in bfloat16 where the processor multiplies in it: a step takes a third of the time.
BFLOAT16 := $(shell grep -qs -m1 avx512_bf16 /proc/cpuinfo && echo --bfloat16)
# LOCK=serve-extras.txt: with what tokens, Redis, traces and MLflow need. Compose has the same default,
# and is told of this one only where somebody set it: else it would hide that of `.env`.
LOCK ?= serve.txt
SOURCES := gateway inference telemetry credentials nerve training benchmarks tests requirements
# Locks are complete, so pip has nothing to resolve.
INSTALL := install --quiet --disable-pip-version-check --no-input --require-hashes --no-deps -r

.DEFAULT_GOAL := help
.PHONY: help serve test check chaos bench bench-smoke soak train evaluate protos protos-check fmt lock up down clean tools fuzz

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "make %-11s %s\n", $$1, $$2}'

serve: $(SERVE)/.installed-$(LOCK) ## start both services on the shipped model (GATEWAY_PORT, INFERENCE_PORT)
	@$(SERVE)/bin/python -m nerve serve

# Many tests wait more than they work; those of one file share their servers. Bytecode is kept: some
# hundred processes load the same modules.
TESTS := PYTHONDONTWRITEBYTECODE= $(RUN) -m pytest -n 4 --dist loadfile --no-loadscope-reorder

test: $(DEV)/.installed $(CLIENTS)/.installed tools ## run every test that this machine can run
	$(TESTS)

check: $(DEV)/.installed $(CLIENTS)/.installed protos-check tools ## what CI runs: format, lint, types, imports, protos, tests
	$(RUN) -m ruff format --check $(SOURCES)
	$(RUN) -m ruff check $(SOURCES)
	$(RUN) -m mypy
	$(DEV)/bin/lint-imports
	$(TESTS)

bench: $(DEV)/.installed ## measure the services against the in-process ceiling (ARGS: options)
	$(RUN) -m benchmarks $(ARGS)

chaos: $(DEV)/.installed ## kill, stop, cut and flood in the long form, some five minutes (short: make test)
	$(RUN) -m pytest tests/chaos --chaos-long

soak: $(DEV)/.installed ## 100,000 right and wrong calls; fails when a service keeps memory or anything else
	$(RUN) -m benchmarks.soak $(ARGS)

fuzz: $(DEV)/.installed ## the fuzz tests at length: 5,000 examples of each property, 5,000 requests and more
	$(RUN) -m pytest --hypothesis-profile=long --timeout=3600 tests/fuzz tests/inference/test_decoding_properties.py \
		tests/inference/test_windows.py tests/inference/test_offsets.py tests/inference/test_sentences.py

bench-smoke: $(DEV)/.installed ## only see that the benchmark runs (under a minute)
	$(RUN) -m benchmarks --smoke

train: $(DEV)/.installed ## the whole training chain on a small sample; DATA=folder: a new version (ARGS: options)
	$(RUN) -m training train $(if $(DATA),--data $(DATA) --drop-duplicates $(BFLOAT16)) $(ARGS)

evaluate: $(DEV)/.installed ## F1 of a model (MODEL=file.onnx DATA=folder, ARGS: options)
	$(RUN) -m training evaluate --model $(MODEL) --data $(DATA) $(ARGS)

PROTOC = $(RUN) -m grpc_tools.protoc -I. --python_out=$(1) --grpc_python_out=$(1) \
	--mypy_out=quiet:$(1) --mypy_grpc_out=quiet:$(1) $(wildcard protos/*/*.proto protos/*/*/*.proto)

protos: $(DEV)/.installed ## compile the contracts
	PATH="$(CURDIR)/$(DEV)/bin:$$PATH" $(call PROTOC,.)

protos-check: $(DEV)/.installed
	@rm -rf $(DEV)/protos-check && mkdir $(DEV)/protos-check
	@PATH="$(CURDIR)/$(DEV)/bin:$$PATH" $(call PROTOC,$(DEV)/protos-check)
	@for file in $$(cd $(DEV)/protos-check && find protos -type f); do \
		cmp $(DEV)/protos-check/$$file $$file || { echo "$$file is stale: run make protos"; exit 1; }; \
	done

fmt: $(DEV)/.installed ## format and fix what can be fixed
	$(RUN) -m ruff format $(SOURCES)
	$(RUN) -m ruff check --fix $(SOURCES)

lock: $(DEV)/.installed ## pin the newest versions that pyproject.toml allows
	$(RUN) requirements/lock.py

# Where these may be installed, they are; else the tests that need one say so, and in CI (CI=true)
# fail. Each is both a command and Debian's package of it.
TOOLS := redis-server prometheus

tools:
	@for tool in $(TOOLS); do \
		command -v $$tool >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
			apt-get install --yes --no-install-recommends $$tool; } || \
			echo "no $$tool: the tests that need it are left out (apt-get install $$tool)"; \
	done

up: ## build and start the containers (GATEWAY_PORT, REPLICAS)
	docker compose up --build --detach --wait

down: ## stop the containers, Prometheus and Grafana too
	docker compose --profile observability down

clean: ## remove what make installed
	rm -rf $(SERVE) $(DEV) $(CLIENTS) .mypy_cache .ruff_cache .pytest_cache .hypothesis .schemathesis .import_linter_cache

NEW_ENOUGH := $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'

$(SERVE)/.installed-$(LOCK): requirements/$(LOCK)
	@echo "installing into $(SERVE) ..."
	@$(NEW_ENOUGH)
	@$(PYTHON) -m venv --clear $(SERVE)
	@$(SERVE)/bin/pip $(INSTALL) requirements/$(LOCK)
	@touch $@

# torch as a CPU build where an index offers one, else the registry's, which is ten times as large.
$(DEV)/.installed: requirements/dev.txt requirements/torch.txt requirements/torch-cpu.txt
	@echo "installing into $(DEV) ... (torch is large: some minutes)"
	@$(NEW_ENOUGH)
	@$(PYTHON) -m venv --clear $(DEV)
	@$(DEV)/bin/pip $(INSTALL) requirements/dev.txt
	@$(DEV)/bin/pip $(INSTALL) requirements/torch-cpu.txt 2>/dev/null || \
		$(DEV)/bin/pip $(INSTALL) requirements/torch.txt
	@touch $@

# Clients of other makers that tests run unchanged: with what they ask for, not with what we have.
$(CLIENTS)/.installed: requirements/clients.txt
	@echo "installing into $(CLIENTS) ..."
	@$(NEW_ENOUGH)
	@$(PYTHON) -m venv --clear $(CLIENTS)
	@$(CLIENTS)/bin/pip $(INSTALL) requirements/clients.txt
	@touch $@
