# Every target makes what it needs. PYTHON is any Python from 3.11.
PYTHON ?= python3
BIN := .venv/bin
DEMO := runs/make-demo

# Many tests start processes of their own: modules are compiled once, also where the shell forbids keeping that.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: setup demo check types rules test fuzz torture docs bench clean

setup: .venv/installed

.venv/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version)'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[train,dev]'
	touch $@

demo: setup
	@rm -rf $(DEMO)
	$(BIN)/pennyweight fit digits --model resnet_9_x0_25 --input-size 16 --epochs 8 --out $(DEMO)
	$(BIN)/pennyweight export $(DEMO)
	$(BIN)/python examples/digit_files.py $(DEMO)/pictures
	$(BIN)/pennyweight predict $(DEMO)/model.onnx $(DEMO)/pictures --top 3
	@echo "The report: $(CURDIR)/$(DEMO)/report.html"

# Types take as long as all the rest, and are checked beside it.
check: setup
	@$(MAKE) --no-print-directory -j 2 types rules

types: setup
	$(BIN)/mypy

rules: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/python docs/networks_table.py --check

test: setup
	$(BIN)/pytest -n 2 --dist worksteal

fuzz: setup
	PENNYWEIGHT_MUTANTS=10000 $(BIN)/pytest tests/core/test_fuzz.py tests/data/test_fuzz.py

# 120 kills and 60 terminations at random moments; each run must end with the bits of one that was left alone.
torture: setup
	TORTURE=20 OMP_NUM_THREADS=1 $(BIN)/pytest tests/cli/test_torture.py -m slow

docs: setup
	$(BIN)/python docs/networks_table.py
	$(BIN)/pytest tests/test_docs.py -m "slow or not slow"

bench: setup
	for script in benchmarks/*.py; do $(BIN)/python $$script || exit 1; done

clean:
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
