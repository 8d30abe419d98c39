# Needs only make and Python 3.11 to 3.13; another than python3 is named like this: PYTHON=python3.12 make run
PYTHON ?= python3
SETUP = $(PYTHON) include/local/bootstrap.py
BIN = .venv/bin
# Where an image forbids Python to keep what it compiled, each process would compile all that it imports anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test stop status containers containers-test lint audit bench docs

run:    ; @$(SETUP) && $(BIN)/ciclo run
test:   ; @$(SETUP) --dev && $(BIN)/python -m pytest -n auto --maxprocesses 4 --no-loadscope-reorder --durations 15
stop:   ; @if [ -x $(BIN)/ciclo ]; then $(BIN)/ciclo down; fi
status: ; @$(SETUP) && $(BIN)/ciclo status
containers:      ; @$(PYTHON) -m include.local.containers
containers-test: ; @$(PYTHON) -m tests.containers.live
lint:   ; @$(SETUP) --dev && $(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports --no-cache && $(BIN)/python -m include.spec --check && $(BIN)/python -m include.reporting.dag_pages --check && $(BIN)/python -m include.local.pages data_dictionary --check
audit:  ; @$(SETUP) --dev && $(BIN)/python -m include.local.audit
bench:  ; @$(SETUP) && $(BIN)/python -m benchmarks $(BENCH)
docs:   ; @$(SETUP) && $(BIN)/python -m include.spec && $(BIN)/python -m include.reporting.dag_pages && $(BIN)/python -m include.local.pages data_dictionary && $(BIN)/python -m include.local.pages eda
