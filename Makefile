# Everything that this project can do, one target each. `make` prints them.
PYTHON ?= python3
NODE ?= node
VENV := .venv
PY := $(VENV)/bin/python

.PHONY: dist test-free-threaded fuzz faults-reload differential help setup demo test mutants bench bench-gate lint stubs prices check-prices update-prices deny
.DEFAULT_GOAL := help

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.ready: tests/requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.10 or later is needed" if sys.version_info < (3, 10) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	@touch $@

bindings-node/node_modules/.ready: bindings-node/package.json bindings-node/package-lock.json
	@$(NODE) -e 'if (+process.versions.node.split(".")[0] < 20) { console.error("Node 20 or later is needed"); process.exit(1) }'
	cd bindings-node && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

setup: $(VENV)/.ready bindings-node/node_modules/.ready

demo: setup ## build everything, play two tenants against a local provider, show what was spent
	$(PY) tests/run.py demo

test: setup ## everything that gates a change; the last line counts the tests
	$(PY) tests/run.py test

PYTHON_FT ?=

test-free-threaded: setup ## the Python suite without a GIL: PYTHON_FT=python3.14t
	$(PY) tests/free_threaded.py $(or $(PYTHON_FT),$(error name a free-threaded Python: make $@ PYTHON_FT=python3.14t))

dist: setup ## what is published, into dist/: built, looked into, used; PYTHON_FT=python3.14t adds its wheel
	$(PY) tests/dist/run.py $(PYTHON_FT)

mutants: setup ## seeded faults: each must be caught by the vectors, the histories or the properties
	$(PY) tests/mutants/run.py

lint: setup ## format and lint checks of all languages
	$(PY) tests/run.py lint

bench: setup ## speed and size as a table, and in target/bench.json
	$(PY) benches/run.py

bench-gate: setup ## instruction counts against benches/limits.toml
	$(PY) benches/run.py --gate

stubs: setup ## check the Python stubs against the built module
	$(PY) tests/run.py stubs

prices: setup ## check the price catalog (schema, overlaps, impossible prices, age), then compile what the library embeds
	$(PY) pricing/check.py

check-prices: setup differential ## compare every shipped price with two published catalogs (downloads them from the package index)
	$(PY) pricing/check.py --cross-check

update-prices: setup ## rewrite the generated part of the price files from two published catalogs, then check and compile
	$(PY) pricing/generate.py
	$(PY) pricing/check.py

deny: ## licences, duplicates and sources of dependencies (needs cargo-deny)
	cargo deny check

SECONDS ?= 60
TARGET ?= all

fuzz: ## damaged input for everything that is parsed: SECONDS=600 for each target, TARGET=policy for one
	cargo run --release --quiet -p spendrail-fuzz -- $(SECONDS) $(TARGET)

PEERS := target/peers
$(PEERS)/.ready: pricing/published/__init__.py
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check $$($(PYTHON) -c 'import sys; sys.path.insert(0, "pricing"); from published import PUBLISHED; print(*PUBLISHED)')
	@touch $@

differential: setup $(PEERS)/.ready ## other tools' price files against those tools: every model, 19 usages and what is sold by the piece (downloads them)
	cd bindings-python && ../$(VENV)/bin/maturin develop --quiet
	$(PY) tests/differential/differential.py --peers $(PEERS)/bin/python

faults-reload: ## a price file of 3 MB swapped 1,000 times under 8 threads of calls
	SPENDRAIL_SWAPS=1000 SPENDRAIL_MODELS=4500 cargo test --release --quiet -p spendrail-tests --test traffic -- --nocapture
