# `make demo` and `make test` set up their own virtual environment and run; nothing has to be installed first.
#
# PYTHON       the interpreter the environment is made with (3.11 or newer)
# TORCH_INDEX  package index with the wanted build of torch, only for `make test`; empty: chosen as below
# ARGS         further arguments for the command, as in `make test ARGS=tests/formats`

PYTHON ?= python3
TORCH_INDEX ?=
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
CPU_INDEX := https://download.pytorch.org/whl/cpu
SOURCES := aprtui scripts benchmarks
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test check format clean

demo: $(VENV)/demo.stamp
	$(BIN)/aprtui demo $(ARGS)

test: check
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile $(ARGS)

check: $(VENV)/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(SOURCES)
	$(BIN)/lint-imports

format: $(VENV)/test.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV)

$(VENV)/venv.stamp:
	$(PYTHON) -m venv $(VENV)
	touch $@

# The demo runs no model through torch: the base install is all it takes.
$(VENV)/demo.stamp: pyproject.toml constraints.txt $(VENV)/venv.stamp
	$(INSTALL) --editable .
	touch $@

# On Linux the plain index has torch with CUDA, gigabytes of it. Without a GPU the CPU build is taken where PyTorch's
# own index answers within three seconds; otherwise the plain index and the exact pin decide.
$(VENV)/test.stamp: pyproject.toml constraints.txt $(VENV)/venv.stamp
	index='$(TORCH_INDEX)'; \
	if [ -z "$$index" ] && ! command -v nvidia-smi > /dev/null \
		&& curl --silent --fail --max-time 3 --output /dev/null $(CPU_INDEX)/torch/; \
	then index=$(CPU_INDEX); fi; \
	$(INSTALL) $${index:+--extra-index-url "$$index"} --editable '.[dev,run]'
	touch $@
