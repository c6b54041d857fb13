# Everything starts here. Each line below is a command that a person could type.
# `make book` and `make test` set up what they need by themselves.

PYTHON ?= python3
VENV ?= .venv
SCALE ?= laptop
DEVICE ?= auto
DATA ?=
SEEDS ?=
MINUTES ?=
TRIALS ?=

VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
INTERPRETER := $(VENV)/bin/python$(VERSION)
READY := $(VENV)/ready-$(VERSION)
RUN := $(VENV)/bin/python
# The tests measure into a folder of their own, empty but for the committed results.
TESTED := $(CURDIR)/_build/test
TABLES = mkdir -p "$(TESTED)/results" && cp -R data/results/paper "$(TESTED)/results/"
LINT = $(RUN) -m ruff check . && $(RUN) -m ruff format --check . && $(VENV)/bin/lint-imports

export UV_HTTP_TIMEOUT ?= 300

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help book test fast browser bench soak drift readme lock format clean

help: ## Say what can be made.
	@echo "make TARGET [PYTHON=python3.12] [SCALE=smoke|laptop|paper] [DATA=folder] [DEVICE=auto|cpu|cuda] [SEEDS=n]"
	@sed -n 's/^\([a-z]*\):.*## /  \1\t/p' Makefile | expand -t 12

book: $(READY) ## Run the notebooks and build the book: _build/html/index.html. Takes SCALE, DATA, DEVICE, SEEDS.
	$(RUN) book/build.py --scale $(SCALE) --device $(DEVICE) --data "$(DATA)" --seeds "$(SEEDS)"

test fast browser: export OMP_NUM_THREADS = 1
test fast browser: export PRUNEBOOK_RESULTS = $(TESTED)/results

test: export PRUNEBOOK_SCALE = smoke
test: export PRUNEBOOK_BOOK = $(TESTED)/html
test: $(READY) ## Lint, layers, tests, every notebook once, and the book of what they made, at smoke scale.
	rm -rf "$(TESTED)"
	$(TABLES)
	mkdir -p "$(TESTED)/executed/smoke" && cp notebooks/*.ipynb "$(TESTED)/executed/smoke/"
	$(LINT)
	$(RUN) -m pytest -n 2 --dist loadgroup --ignore tests/built --nbmake --overwrite tests "$(TESTED)/executed/smoke"
	$(RUN) book/build.py --laid-out --scale smoke --output "$(TESTED)"
	$(RUN) -m pytest tests/built

fast: $(READY) ## Lint, layers, unit tests and the fingerprints of two studies: the daily loop.
	$(TABLES)
	$(LINT)
	$(RUN) -m pytest -n 2 --dist loadgroup -m "not slow" --ignore tests/built tests

browser: $(READY) ## Look at the built book in Chromium, which the system must have; PRUNEBOOK_BOOK names another book.
	if [ ! -f "$${PRUNEBOOK_BOOK:-_build/html}/index.html" ] && [ ! -f "$(TESTED)/html/index.html" ]; then \
	  { $(TABLES); } && \
	  $(RUN) book/build.py --scale smoke --output "$(TESTED)"; fi
	$(RUN) tests/browser/reader.py
	$(RUN) -m pytest -n 2 --dist loadgroup tests/browser

drift: $(READY) ## Measure one stored result of each study anew and compare it; takes DATA, DEVICE. Hours at most.
	$(RUN) -m prunebook drift --device $(DEVICE) $(if $(DATA),--data "$(DATA)")

bench: $(READY) ## Time the fast ways against the straightforward ones, into data/benchmarks.json.
	$(RUN) benchmarks/run.py

soak: $(READY) ## Kill runs, fill disks, damage files, and look at the numbers; takes MINUTES or TRIALS. data/soak.json.
	$(RUN) tools/soak.py $(if $(MINUTES),--minutes $(MINUTES)) $(if $(TRIALS),--trials $(TRIALS))

readme: $(READY) ## Write the verdicts from the committed results into README.md.
	$(RUN) tools/readme.py

lock: $(VENV)/bin/uv ## Pin every package anew: requirements.lock and environment.yml.
	$(VENV)/bin/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --quiet -o requirements.lock
	$(RUN) tools/environment.py

format: $(READY) ## Format the code and bring each notebook in line with its .py.
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .
	$(RUN) -m jupytext --to ipynb --update notebooks/*.py

clean: ## Remove what was built; the environment and the committed results stay.
	rm -rf _build .pytest_cache .ruff_cache

# --- the environment -------------------------------------------------------------------------------------------

$(READY): requirements.lock pyproject.toml | $(INTERPRETER)
	$(RUN) -m pip install --quiet "uv<1" || echo "uv cannot be had; pip does its work, more slowly."
	$(VENV)/bin/uv pip sync --python $(RUN) --require-hashes requirements.lock \
	  || $(RUN) -m pip install --require-hashes -r requirements.lock
	$(RUN) -m pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/bin/uv: | $(INTERPRETER)
	$(RUN) -m pip install --quiet "uv<1"

# Only a missing interpreter makes a new environment, so another PYTHON never mixes with the packages of the last.
$(INTERPRETER):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo "prunebook needs Python 3.11\
	 or newer, and $(PYTHON) is $(or $(VERSION),not to be found); name another: make PYTHON=python3.12 test" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
