# Two commands do everything: `make bench` and `make test`. Both set up what is missing first.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
RESULTS := results

.DELETE_ON_ERROR:
.PHONY: setup test bench clean

setup: $(VENV)/.installed
	@$(PY) -m deploybench.native_build

$(VENV)/.installed: requirements.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --requirement requirements.txt
	@touch $@

test: setup
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) -m pytest tests/unit tests/correctness $(ARGS)

# The table is printed of whatever was measured, and the exit code is pytest's.
bench: setup
	@mkdir -p $(RESULTS) && rm -f $(RESULTS)/bench.json $(RESULTS)/bench.csv
	@$(PY) -m pytest tests/perf --benchmark-quiet --benchmark-save=bench \
	    --benchmark-json=$(RESULTS)/bench.json $(ARGS); status=$$?; \
	if [ -f $(RESULTS)/bench.json ]; then \
	    $(PY) tools/merge_perf.py $(RESULTS)/bench.json -o $(RESULTS)/bench.csv && \
	    echo && $(PY) tools/tab_perf.py $(RESULTS)/bench.csv && \
	    echo && echo "milliseconds per call (median); CSV: $(RESULTS)/bench.csv"; \
	fi; exit $$status

clean:
	rm -rf cpp/build $(RESULTS)
