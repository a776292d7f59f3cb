# make book    set everything up, run every notebook's quick profile, build the site, print where it is
# make test    set everything up, run the tests
# make check   what CI runs: format, lint, types, tests, long tests, notebooks and site, the site in a browser
# make check-all  the same, then every activation, derivative, target and number format, and each notebook alone: an hour
# make drills  faults, hostile input and long use: each item with its cases and failures, half an hour
# make bench   speed and memory, each against its peers
# make clean   remove what was built; the virtual environment stays
#
# Needs make and Python 3.11 or newer: make PYTHON=/path/to/python3.11 where python3 is older.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TRITON := $(VENV)/.triton
TOGETHER := -n logical --maxprocesses 4  # 1.5 GB each

# Where this is set, as in some containers, each of the hundreds of processes below would compile all it imports anew:
# torch, SciPy and matplotlib 6 s instead of 2.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: book test long check check-all lint browser drills bench clean
.NOTPARALLEL:

book: $(READY)
	$(BIN)/cosnb book

# A file's tests share what they build, so one process has them all.
test: $(TRITON)
	$(BIN)/python -m pytest $(TOGETHER) --dist loadfile --ignore=tests/browser

check: lint test long book browser

long: $(TRITON)
	$(BIN)/python -m pytest $(TOGETHER) --dist load -m "long and not matrix and not drill" --ignore=tests/browser

check-all: check
	$(BIN)/python -m pytest $(TOGETHER) -m "matrix or drill" --ignore=tests/browser

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	@if [ -e .git ]; then echo $(BIN)/pre-commit run --all-files; $(BIN)/pre-commit run --all-files; fi
	$(BIN)/mypy
	$(BIN)/lint-imports

browser: $(READY)
	$(BIN)/python -m pytest $(TOGETHER) tests/browser

drills: $(TRITON)
	$(BIN)/python -m pytest drills -m '' --timeout 3600

bench: $(READY)
	@set -e; for program in benchmarks/*.py; do echo "== $$program"; $(BIN)/python "$$program"; done

clean:
	rm -rf _build build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# The stamp is the last thing written, so an interrupted set-up is taken up again. Compiling 140 packages ahead of use
# would double the minute that the installation takes.
$(READY): requirements/main.lock requirements/torch.lock pyproject.toml setup.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "cosnb needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) --version 2>&1): say make PYTHON=/path/to/python3.11." >&2; \
	  exit 1; }
	@rm -f $@
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check --require-hashes -r requirements/main.lock
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -r requirements/torch.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --disable-pip-version-check -e .
	@touch $@

# The tests run the Triton kernels under Triton's interpreter. PyTorch for CUDA brings the Triton that fits it; beside
# PyTorch for the CPU it is installed here, 1 GB that the book does not need.
$(TRITON): $(READY) requirements/triton.lock
	@if [ "$$(uname -sm)" = "Linux x86_64" ] && ! $(BIN)/python -c 'import triton' 2>/dev/null; then \
	  $(BIN)/python -m pip install --quiet --no-deps --no-compile --disable-pip-version-check --require-hashes -r requirements/triton.lock; fi
	@touch $@
