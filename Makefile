# Two commands do everything: `make bench` and `make test`. Both set up what is missing first.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
DOCS_VENV := .venv-docs
RESULTS := results
RUNS := 1
# Processes that share the unit tests. The tests that time or check models run alone.
WORKERS := 2
UNIT := $(PY) -m pytest tests/unit -n $(WORKERS) --dist loadfile
# One of each family, and quick.
QUICK_MODELS := resnet18,mobilenet_v3_small,squeezenet1_1,shufflenet_v2_x0_5,mnasnet0_5,densenet121

# Containers often set it. Each process would then rewrite the assertions of each pytest plugin
# again, which takes two seconds.
unexport PYTHONDONTWRITEBYTECODE

.DELETE_ON_ERROR:
.PHONY: setup setup-all style test test-all sweep bench docs clean

setup: $(VENV)/.installed
	@$(PY) -m deploybench.native.build

$(VENV)/.installed: requirements.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; choose one: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --requirement requirements.txt
	@touch $@

# Adds the packages of the backends beyond TorchScript, of sweeps and of the examples, and what the suite is tested beside and with.
setup-all: setup .compat/.installed .browser/.installed
	@$(PY) -m pip install --quiet --requirement requirements-successors.txt --requirement requirements-cluster.txt --requirement examples/efficientnet_lite/requirements.txt

# Other people's pytest plugins, in a folder of their own: pytest loads whatever is in $(VENV).
.compat/.installed: requirements-compat.txt | $(VENV)/.installed
	@rm -rf .compat
	@$(PY) -m pip install --quiet --no-deps --target .compat --requirement requirements-compat.txt
	@touch $@

# What opens the report in the system's own browser, in a folder of its own for the same reason.
.browser/.installed: requirements-browser.txt | $(VENV)/.installed
	@rm -rf .browser
	@$(PY) -m pip install --quiet --no-deps --target .browser --requirement requirements-browser.txt
	@touch $@

# The suite itself and the answers of a few models; ten minutes at most on two cores.
test: style
	$(UNIT) $(ARGS)
	$(PY) -m pytest tests/correctness --models $(QUICK_MODELS) $(ARGS)

# The slow tests too, and the answers of all default models: what CI runs.
test-all: style
	$(UNIT) -m "not sweep" $(ARGS)
	$(PY) -m pytest tests/correctness -m "not sweep" $(ARGS)

# What takes too long for CI: compilers over more models, the wheel in repositories of others.
sweep: setup
	$(UNIT) -m sweep $(ARGS)

style: setup
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

# Each run is a process, and the table pools the runs. The table is printed from whatever was
# measured; only then are the earlier results removed. The exit code is that of the last run that
# failed.
bench: setup
	@rm -rf $(RESULTS)/unfinished && mkdir -p $(RESULTS)/unfinished; status=0; \
	for run in $$(seq $(RUNS)); do \
	    $(PY) -m pytest tests/perf --benchmark-quiet \
	        --benchmark-json=$(RESULTS)/unfinished/bench-$$run.json $(ARGS) || status=$$?; \
	    if [ $$status -gt 1 ]; then break; fi; \
	done; \
	find $(RESULTS)/unfinished -name 'bench-*.json' -empty -delete; \
	if ls $(RESULTS)/unfinished/bench-*.json > /dev/null 2>&1; then \
	    rm -f $(RESULTS)/bench-*.json $(RESULTS)/bench.csv && \
	    mv $(RESULTS)/unfinished/bench-*.json $(RESULTS) && \
	    $(PY) tools/merge_perf.py $(RESULTS)/bench-*.json -o $(RESULTS)/bench.csv && \
	    echo && $(PY) tools/tab_perf.py $(RESULTS)/bench.csv && \
	    echo && echo "median latency in milliseconds (images per second with --metric throughput); CSV: $(RESULTS)/bench.csv; runs: $(RESULTS)/bench-*.json"; \
	fi; rm -rf $(RESULTS)/unfinished; exit $$status

# The documentation as a website that works offline. It has its own environment, so that its
# packages never mix with those that are measured.
docs: $(DOCS_VENV)/.installed
	$(DOCS_VENV)/bin/sphinx-build --quiet --fail-on-warning --keep-going -c docs -d site/.doctrees . site
	@echo "open site/docs/index.html"

$(DOCS_VENV)/.installed: requirements-docs.txt
	$(PYTHON) -m venv $(DOCS_VENV)
	$(DOCS_VENV)/bin/python -m pip install --quiet --requirement requirements-docs.txt
	@touch $@

clean:
	rm -rf cpp/build cpp/build-sanitized $(RESULTS) site
