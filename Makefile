# Needs only make and Python 3.11 or newer; everything else is installed into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

LOCKED ?= .venv-locked

# Tests start the command hundreds of times: each start compiles all modules anew unless that may be kept.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test test-slow test-long lint docs figures study-tables lock install-locked clean fuzz

demo: $(STAMP)
	rm -rf riemaug-demo
	$(BIN)/riemaug demo riemaug-demo

test: $(STAMP)
	$(BIN)/pytest -q -n 2

test-slow: $(STAMP)
	$(BIN)/pytest -q -n 2 -m "slow and not long"

# The other cases of the slow tests, before a release.
test-long: $(STAMP)
	$(BIN)/pytest -q -n 2 -m long

# Every reader 100,000 times, driven by coverage: an hour and more. A fault is kept in fuzz/corpus.
fuzz: $(STAMP)
	$(BIN)/pip install --quiet -c constraints.txt -e ".[test,fuzz]"
	$(BIN)/python -m fuzz

lint: $(STAMP)
	$(BIN)/pip install --quiet -c constraints.txt -e ".[dev]"
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

# The documentation as pages in site/; a link that leads nowhere is an error.
docs: $(STAMP)
	$(BIN)/pip install --quiet -c constraints.txt -e ".[docs]"
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# The pictures of the README and the docs, made from what `make demo` leaves.
figures: $(STAMP)
	$(BIN)/python docs/make_figures.py
	$(BIN)/python docs/make_law_figure.py

# The tables of docs/results, made from the runs that lie there.
study-tables: $(STAMP)
	$(BIN)/riemaug study show table2 --classifier small-cnn --out docs/results/table2_small_cnn.md
	$(BIN)/riemaug study show orderings --classifier small-cnn --out docs/results/orderings_small_cnn.md
	$(BIN)/riemaug study show gains --classifier small-cnn --out docs/results/gains_small_cnn.md
	$(BIN)/riemaug study show curve --out docs/results/curve_mnist.md
	$(BIN)/riemaug study show baselines --data mnist_balanced --out docs/results/baselines_mnist.md
	$(BIN)/riemaug study show baselines --data fashion_balanced --out docs/results/baselines_fashion.md

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -c constraints.txt -e ".[test]"
	touch $(STAMP)

# requirements.lock anew, after a change of the constraints.
lock: $(STAMP)
	$(BIN)/python tools/lock.py

# An environment of its own from files whose hashes are known; on the platform that requirements.lock names.
install-locked:
	$(PYTHON) -m venv $(LOCKED)
	$(LOCKED)/bin/pip install --quiet --require-hashes --no-deps -r requirements.lock
	$(LOCKED)/bin/pip install --quiet -c constraints.txt torch
	$(LOCKED)/bin/pip install --quiet --no-deps --no-build-isolation -e .
	$(PYTHON) tools/lock.py --check $(LOCKED)/bin/python

clean:
	rm -rf $(VENV) $(LOCKED) riemaug-demo site
