# `make demo` and `make test` are all a fresh machine needs: Python 3.11 (or newer) and make.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
WORKERS ?= 2
RESULTS := benchmarks/results
export OMP_NUM_THREADS = 1
export MKL_NUM_THREADS = 1
unexport PYTHONDONTWRITEBYTECODE  # tests are rewritten and compiled once, not at each run: a third of what it takes to collect them
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

.PHONY: demo test test-data test-slow figure1 kernels regularization complexity photos face docs lint clean

demo: .venv/.installed  ## trains two small nets on true and on corrupted digits, writes the report
	$(BIN)/shatterlab audit --budget 3m
	@echo "Open $(CURDIR)/shatterlab-audit.html in a browser."

test: .venv/.installed-dev  ## the quick suite; what needs chromium or the real data is skipped where they are absent, and said so
	$(PYTEST)

test-data: .venv/.installed-dev  ## what needs the published data sets: SHATTERLAB_DATA=folder make test-data
	$(PYTEST) -m "data and not slow"

test-slow: .venv/.installed-dev  ## minutes long: kill and resume, soaks
	$(PYTEST) -m slow

figure1: .venv/.installed-dev  ## Figure 1 at laptop scale, for the docs: SHATTERLAB_DATA=folder make figure1 (resumes what the store has)
	for panel in c b a; do \
	  $(BIN)/shatterlab run figure1$$panel --scale laptop --store $(RESULTS)/figure1.sqlite > $(RESULTS)/figure1$$panel.txt && \
	  $(BIN)/shatterlab report figure1$$panel --scale laptop --store $(RESULTS)/figure1.sqlite --output figure1$$panel.html --figures docs/images || exit 1; \
	done

kernels: .venv/.installed-dev  ## section 5 and Table 3 at laptop scale, for the docs: SHATTERLAB_DATA=folder make kernels (resumes)
	for name in table3 kernel_randomizations section5_sgd section5_bad_interpolants; do \
	  $(BIN)/shatterlab run $$name --scale laptop --store $(RESULTS)/kernels.sqlite > $(RESULTS)/$$name.txt && \
	  $(BIN)/shatterlab report $$name --scale laptop --store $(RESULTS)/kernels.sqlite --output $$name.html --figures docs/images || exit 1; \
	done

regularization: .venv/.installed-dev  ## Tables 1 and 4, Figure 2(b) at laptop scale, for the docs: SHATTERLAB_DATA=folder make regularization (resumes)
	for name in table1 figure2b table4 weight_decay double_descent implicit_regularizers; do \
	  $(BIN)/shatterlab run $$name --scale laptop --store $(RESULTS)/regularization.sqlite > $(RESULTS)/$$name.txt && \
	  $(BIN)/shatterlab report $$name --scale laptop --store $(RESULTS)/regularization.sqlite --output $$name.html --figures docs/images || exit 1; \
	done

complexity: .venv/.installed-dev  ## the ledger and what belongs to it at laptop scale, for the docs: SHATTERLAB_DATA=folder make complexity (resumes)
	for name in ledger judging stability rademacher ratt convergence; do \
	  $(BIN)/shatterlab run $$name --scale laptop --store $(RESULTS)/complexity.sqlite > $(RESULTS)/$$name.txt && \
	  $(BIN)/shatterlab report $$name --scale laptop --store $(RESULTS)/complexity.sqlite --output $$name.html --figures docs/images || exit 1; \
	done
	$(BIN)/shatterlab export --store $(RESULTS)/complexity.sqlite --output $(RESULTS)/complexity.csv

photos: .venv/.installed-dev  ## Table 2 and Figure 2(a) at laptop scale: PHOTOS=folder with imagenette and imagenet-sample make photos (resumes)
	for name in table2 figure2a; do \
	  $(BIN)/shatterlab run $$name --scale laptop --data "$${PHOTOS:?name the folder that holds imagenette and imagenet-sample}" --store $(RESULTS)/photos.sqlite > $(RESULTS)/$$name.txt && \
	  $(BIN)/shatterlab report $$name --scale laptop --data "$${PHOTOS:?name the folder that holds imagenette and imagenet-sample}" --store $(RESULTS)/photos.sqlite --output $$name.html --figures docs/images || exit 1; \
	done

face: .venv/.installed-dev  ## writes src/shatterlab/__init__.pyi: after a public name is added or moves
	$(BIN)/python tools/public_face.py

docs: .venv/.installed-docs  ## the pages and an API reference as a site in build/docs; a warning or a broken link is an error
	$(BIN)/python -m sphinx -b html -W --keep-going --quiet docs build/docs
	@echo "Open $(CURDIR)/build/docs/index.html in a browser."

lint: .venv/.installed-dev
	$(BIN)/ruff check src tests benchmarks tools docs
	$(BIN)/ruff format --check src tests benchmarks tools docs
	$(BIN)/mypy

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

.venv/.installed-dev: .venv/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

.venv/.installed-docs: .venv/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@

clean:
	rm -rf .venv build docs/api .pytest_cache .mypy_cache .ruff_cache .hypothesis
