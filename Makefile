# make demo   install into .venv, index examples/documents, ask it questions
# make test   the quick tests; test-all adds the slow ones; check is ruff and mypy
# Another Python: make demo PYTHON=python3.12. Another place: make test VENV=/tmp/venv

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-all check bench wheel clean

help:
	@sed -n '1,3s/^# //p' Makefile

demo: $(VENV)/installed
	@$(BIN)/python examples/demo.py

test: $(VENV)/installed-test
	$(BIN)/python -m pytest

test-slow: $(VENV)/installed-test-all
	$(BIN)/python -m pytest -m slow -rs

test-all: $(VENV)/installed-test-all
	$(BIN)/python -m pytest -m "" -rs

check: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/installed-dev
	@test -d "$(DATA)" || { echo "the questions are not part of the clone: make bench DATA=FOLDER" >&2; exit 1; }
	$(BIN)/python -m benchmarks.retrieval --data "$(DATA)"
	$(BIN)/python -m benchmarks.answers --data "$(DATA)"

# A leftover build/ folder would be packed into the next wheel, so it goes before and after.
wheel: $(VENV)/installed-dev
	rm -rf build dist
	$(BIN)/python -m build --wheel
	rm -rf build

clean:
	rm -rf build dist *.egg-info .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

# The stamp files hold the time of the last install; pyproject.toml decides whether it is still good.
$(VENV)/installed: extras =
$(VENV)/installed-test: extras = [test]
$(VENV)/installed-test-all: extras = [test,test-all]
$(VENV)/installed-dev: extras = [test,dev,bench]
$(VENV)/installed $(VENV)/installed-test $(VENV)/installed-test-all $(VENV)/installed-dev: pyproject.toml | $(VENV)/bin/python
	@echo "installing ragbone$(extras) into $(VENV); the first time this takes some minutes"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.$(extras)'
	@touch $@

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "ragbone needs Python 3.11 or newer, and '$(PYTHON)' is not: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { rm -f $(BIN)/python; echo "'$(PYTHON) -m venv' failed; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
