# Needs Python 3.11 to 3.13, make and git; everything else is installed into .venv.
PYTHON ?= python3
VENV := .venv
LOWEST := .venv-lowest
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
RUFF_OPTIONS := $(shell sed -n '/^\[tool:ruff\]/,$$s/^options *= *//p' setup.cfg)
SOURCES := setup.cfg pyproject.toml
# Processes that run the tests, each with up to 10 GB.
WORKERS ?= 2

.PHONY: demo test test-lowest lint bench clean
.DEFAULT_GOAL := demo

demo: $(VENV)/.installed
	$(BIN)/python -m ganzoo demo --out demo

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest -p no:cacheprovider -n $(WORKERS) --dist loadfile

# The fast tests with the lowest version of everything that setup.cfg admits; with the lowest Python
# where PYTHON=python3.11 names it.
test-lowest: $(LOWEST)/.installed
	$(LOWEST)/bin/python -m pytest -p no:cacheprovider -n $(WORKERS) --dist loadfile \
		-m "not slow and not network and not accelerator"

lint: $(VENV)/.installed-test
	$(BIN)/ruff check --no-cache $(RUFF_OPTIONS) .

bench: $(VENV)/.installed-bench
	set -e; for script in $$(grep -l __main__ benchmarks/*.py); do echo "== $$script"; $(BIN)/python "$$script"; done

clean:
	rm -rf $(VENV) $(LOWEST) build dist demo keras_ganzoo.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name .git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# Editable: `python -m ganzoo` in the checkout runs the checkout, and its recipes are found.
$(VENV)/.installed: $(VENV)/.created $(SOURCES)
	$(INSTALL) --editable .
	touch $@

$(VENV)/.installed-%: $(VENV)/.created $(SOURCES)
	$(INSTALL) --editable ".[$*]"
	touch $@ $(VENV)/.installed

$(VENV)/.created:
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --upgrade pip
	touch $@

$(LOWEST)/.installed: $(SOURCES) tools/floors.py
	$(PYTHON) -m venv --clear $(LOWEST)
	$(LOWEST)/bin/python tools/floors.py > $(LOWEST)/floors.txt
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(LOWEST)/bin/python -m pip install --quiet --constraint $(LOWEST)/floors.txt --editable ".[test]"
	touch $@
