# Two commands for a new machine, which needs Python 3.11 or later and make only:
#   make demo    trains a network of spins on real data and draws what happened
#   make test    runs the tests
PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= 2

.PHONY: help demo test check slow notebooks golden bench clean
help:            ## what each target does
	@grep -E '^[a-z.]+: .*##' $(MAKEFILE_LIST) | sed -E 's/: [^#]*## */\t/' | expand -t 16

.venv: .venv/ready  ## the environment, from requirements.lock
.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "qeqprop needs Python 3.11 or later; try: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch .venv/ready

demo: .venv      ## train a network on iris by equilibrium propagation, draw the pictures
	$(BIN)/qeqprop run experiments/iris.toml --folder demo
	$(BIN)/qeqprop show demo/iris-*

test: .venv      ## the test suite and the notebooks, a few minutes on two cores
	$(BIN)/pytest --nbmake --nbmake-timeout=600 notebooks
	$(BIN)/pytest -n $(WORKERS) --dist loadscope

check: .venv     ## lint, format, types, floors, spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports
	$(BIN)/typos

slow: .venv      ## the tests that take longer
	$(BIN)/pytest -n $(WORKERS) -m slow

notebooks: .venv ## run every notebook
	$(BIN)/pytest --nbmake --nbmake-timeout=600 notebooks

golden: .venv    ## rewrite the golden texts, to be read as a diff
	$(BIN)/python tests/golden.py

.venv-bench/ready: requirements-bench.lock pyproject.toml
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --requirement requirements-bench.lock
	.venv-bench/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch .venv-bench/ready

bench: .venv-bench/ready ## measure against other packages, in an environment of their own
	.venv-bench/bin/python benchmarks/run.py

clean:           ## remove what was built
	rm -rf .venv .venv-bench demo runs .pytest_cache .ruff_cache .hypothesis .import_linter_cache
