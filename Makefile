# Every target creates the environment it needs: Python >= 3.11 and make are enough to start.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

EXAMPLES := adaptive_rnn greedy_decode linear_regression dynamic_linear_regression train_mlp both_ways

.PHONY: demo test versions packages stale bench language guards exporting lint types clean

demo: $(INSTALLED)
	for example in $(EXAMPLES); do $(BIN)/python examples/$$example.py || exit 1; echo; done

test: $(INSTALLED)
	$(BIN)/python -m pytest -n auto

# Runs the tests with each version of Python and torch that the machine can have; some 5 GB and 20 minutes each.
versions:
	$(PYTHON) tests/support/versions.py

# Captures code of packages that know nothing of d2s.
packages: $(VENV)/.packages
	$(BIN)/python -m pytest -n auto tests/packages

# Changes what the corpus can reach, one thing at a time, and compares with eager; takes minutes.
stale: $(INSTALLED)
	PYTHONPATH=tests/support:tests/stale $(BIN)/python tests/stale/fuzz.py $(ONLY)

bench: $(VENV)/.bench
	$(BIN)/python benchmarks/run.py --plot benchmarks/results.svg

# Writes the tables of docs/language.md from the features in tests/language.
language: $(INSTALLED)
	PYTHONPATH=tests/support $(BIN)/python -c "import language; language.write_document()"

# Writes the table of docs/guards.md, from the table of kinds.
guards: $(INSTALLED)
	PYTHONPATH=tests/support $(BIN)/python -c "import guarded; guarded.write_document()"

# Writes the tables of docs/exporting.md, from the same features and the examples; takes minutes.
exporting: $(INSTALLED)
	PYTHONPATH=tests/support:examples $(BIN)/python -W ignore -c "import outside; outside.write_document()"

lint: $(INSTALLED)
	$(BIN)/ruff check .

# The package directories are mapped (see pyproject.toml), so the checker gets the tree as it installs.
types: $(INSTALLED)
	rm -rf build/types && mkdir -p build/types
	cp -r d2s build/types/d2s
	cp -r transforms build/types/d2s/transforms
	cp -r runtime build/types/d2s/runtime
	cp -r tests examples benchmarks build/types/
	cd build/types && MYPYPATH=tests/support:tests/stale:examples:benchmarks $(abspath $(BIN))/mypy --config-file ../../pyproject.toml --explicit-package-bases d2s tests examples benchmarks

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test,lint]'
	touch $@

$(VENV)/.packages: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[packages]'
	touch $@

$(VENV)/.bench: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info
