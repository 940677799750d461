# wattest: `make demo` and `make test` are all a newcomer needs.
#
#   make demo       set up .venv, run a real program on real input, show the receipt
#   make test       every test: unit, official suite, differential, WASI, command line, fuzz
#   make test-slow  the whole programs that take minutes on the reference engine
#   make lint       ruff and mypy --strict
#   make bench      the kernels beside other engines -> docs/benchmarks.md
#   make fuzz       100,000 mutated modules (COUNT=n for another number)
#   make asan       every test of the accelerator under AddressSanitizer and UBSan (gcc, Linux)
#   make asan-fuzz  1,000,000 mutated modules run by that build (COUNT=n for another number)
#   make docs       rebuild the generated parts of docs/
#   make programs   rebuild the committed .wasm fixtures (see mk/programs.mk for what it needs)

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
COUNT ?= 100000
# Processes for pytest: as many as there are processors.
JOBS ?= auto

.PHONY: all demo test test-slow lint bench fuzz asan asan-fuzz docs programs clean
.DEFAULT_GOAL := all

all: demo

# What the accelerator is made from; the rest of wattest is used where it lies.
ACCEL := $(wildcard wattest/accel/generator/*.py wattest/accel/*.pxd wattest/accel/*/*.pxi) \
  wattest/accel/native.h wattest/accel/heap.h wattest/accel/cells.h \
  wattest/interp/opcodes.py \
  $(filter-out wattest/accel/_handlers.pyx wattest/accel/ids.pxi, \
    $(wildcard wattest/accel/*.pyx wattest/accel/*.pxi))
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# Each stamp names the set of packages that is installed in the virtual environment.
$(VENV)/base.stamp: pyproject.toml setup.py $(ACCEL)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "wattest needs Python 3.10 or later; try: make PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || $(PYTHON) -m virtualenv $(VENV) || \
	  { rm -rf $(VENV); echo "python3 cannot make a virtual environment;" \
	    "on Debian: apt-get install python3-venv"; exit 1; }
	@rm -f $(VENV)/install.log
	@$(PIP) --log $(VENV)/install.log --editable '.[demo]'
	@sed -n 's/.*\(wattest: building without .*\)/\1; all runs on the reference engine, slowly/p' \
	  $(VENV)/install.log | tail -n 1
	@touch $@

$(VENV)/test.stamp: $(VENV)/base.stamp
	@$(BIN)/python mk/extras.py test programs | xargs $(PIP)
	@touch $@

$(VENV)/lint.stamp: $(VENV)/base.stamp
	@$(BIN)/python mk/extras.py lint test | xargs $(PIP)
	@touch $@

$(VENV)/bench.stamp: $(VENV)/test.stamp
	@$(BIN)/python mk/extras.py bench | xargs $(PIP)
	@touch $@

demo: $(VENV)/base.stamp
	@sh examples/demo.sh $(BIN)/wattest $(BIN)/python

test: $(VENV)/test.stamp
	@rm -f .coverage .coverage.*
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m "not slow" \
	  --cov=wattest --cov-report=term --cov-fail-under=90

test-slow: $(VENV)/test.stamp
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/lint.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/bench.stamp
	$(BIN)/python -m benchmarks

fuzz: $(VENV)/test.stamp
	$(BIN)/python -m tests.fuzz.mutate --count $(COUNT)

# A copy of the sources with instrumented extension modules; .venv has the other packages. Handlers
# return to a loop there: instrumented, those of f32 and of vectors do not end in jumps.
ASAN := build/asan
ASAN_FLAGS := -O2 -g1 -fsanitize=address,undefined,float-cast-overflow \
  -fno-sanitize-recover=undefined,float-cast-overflow
ASAN_RUN = cd $(ASAN) && PYTHONPATH=$(CURDIR)/$(ASAN) PYTHONSAFEPATH= \
  WATTEST_TESTSUITE="$${WATTEST_TESTSUITE:-$(abspath ../shared/testsuite)}" \
  LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" \
  ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 \
  UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 $(abspath $(BIN))/python

$(ASAN)/stamp: $(VENV)/test.stamp $(ACCEL)
	@mkdir -p $(ASAN)
	@tar cf - --exclude='*.so' --exclude='*.c' --exclude=__pycache__ pyproject.toml setup.py conftest.py \
	  README.md LICENSE wattest tests spec_tests benchmarks examples docs | tar xf - -C $(ASAN)
	@$(PIP) cython setuptools
	cd $(ASAN) && WATTEST_REQUIRE_ACCEL=1 WATTEST_LOOP=1 WATTEST_CFLAGS="$(ASAN_FLAGS)" \
	  LDFLAGS="-fsanitize=address,undefined" CC=gcc \
	  $(abspath $(BIN))/python setup.py -q build_ext --inplace
	@touch $@

# The sanitizer keeps freed memory for a while, so that what the process holds says nothing there.
asan: $(ASAN)/stamp
	$(ASAN_RUN) -m pytest -q -p no:cacheprovider tests/accel tests/api tests/fuzz \
	  tests/explain/test_commitments.py spec_tests/suite -k "not reference and not instances_leave_nothing" \
	  --deselect tests/accel/test_accel_build.py

asan-fuzz: COUNT := 1000000
asan-fuzz: $(ASAN)/stamp
	$(ASAN_RUN) -m tests.fuzz.execute --guard --count $(COUNT)

docs: $(VENV)/base.stamp
	$(BIN)/python docs/make_instructions.py

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .coverage .coverage.*

-include mk/programs.mk
