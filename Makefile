# make demo [ROOT=folder]   the main job from start to end, on a made sample or on your own slides
# make test                 all tests; those of real slides too, if STIMAGE_REAL names their folder
# make test-datasets3       the same builder file as a loading script of datasets 3.x, in an environment of its own
# make faults [CASES=5000]  thousands of damaged files, and a long stream; prints a table of what came of them
# make bench                speed and memory beside the usual tools
# make lint                 ruff
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
OUT ?= out
CASES ?= 5000

.PHONY: demo test faults lint bench test-datasets3 clean

$(VENV)/installed: requirements.txt constraints.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

demo: $(VENV)/installed
	$(BIN)/python scripts/demo.py $(ROOT) --out $(OUT)

test: $(VENV)/installed
	$(BIN)/python -m pytest

faults: $(VENV)/installed
	STIMAGE_FAULTS=$(CASES) STIMAGE_FAULTS_OUT=$(OUT)/faults $(BIN)/python -m pytest tests/reliability -p no:warnings --timeout 7200
	cat $(OUT)/faults/faults.md

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: $(VENV)/installed
	$(BIN)/python -m benchmarks --out $(OUT)/bench

test-datasets3: .venv-datasets3/installed
	.venv-datasets3/bin/python -m pytest tests/test_loading_script.py

.venv-datasets3/installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv-datasets3
	.venv-datasets3/bin/pip install --quiet --upgrade pip
	.venv-datasets3/bin/pip install --quiet "datasets==3.6.0" "$(shell grep ^torch== constraints.txt)" pytest pytest-timeout pandas --editable .
	touch $@

clean:
	rm -rf $(OUT) $(VENV) .venv-datasets3
