# SPDX-License-Identifier: MIT
# The front door: everything is one word. The builds themselves are described by CMakeLists.txt and CMakePresets.json.
#
#   make              release build in build/release
#   make demo         installs what is missing, builds the command, computes the molecules in examples/
#   make test         installs what is missing, builds with and without sanitizers, runs the tests
#   make asan tsan clang   build and test with sanitizers, thread sanitizer, clang
#   make valgrind     unit tests under valgrind
#   make bench        benchmarks        make fuzz [FUZZ_SECONDS=60]   libFuzzer targets
#   make coverage     of the readers of model files
#   make format       clang-format      make check-layers   include rules and budgets
#   make install      DESTDIR and PREFIX as usual            make clean

.DEFAULT_GOAL := release
SHELL := /bin/sh
JOBS := $(shell nproc 2> /dev/null || echo 2)
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 60
CTEST = ctest --output-on-failure -j$(JOBS)
AIMNET = build/release/aimnet
FORMATTED = $(shell git ls-files '*.c' '*.h')

# Build one preset: $(call build,NAME)
define build
@cmake --preset $(1) > build/$(1).log 2>&1 || { cat build/$(1).log; exit 1; }
@cmake --build build/$(1) -j$(JOBS)
endef

.PHONY: release demo test asan tsan clang valgrind bench fuzz coverage format check-layers install clean deps deps-test
release: | build
	$(call build,release)

build:
	@mkdir -p build

deps:
	@tools/install_deps.sh build
deps-test: | build
	@tools/install_deps.sh test
	@tools/install_programs.sh build/programs

# Only the command: the tests and the CUDA module take many times as long.
demo: deps | build
	@cmake --preset release > build/release.log 2>&1 || { cat build/release.log; exit 1; }
	@cmake --build build/release -j$(JOBS) --target aimnet_command
	$(AIMNET) energy --forces --charges examples/*.xyz

# The release tests come last: their summary is the last thing printed.
test: deps-test
	@$(MAKE) --no-print-directory asan
	@$(MAKE) --no-print-directory release
	$(CTEST) --test-dir build/release

asan: | build
	$(call build,dev)
	$(CTEST) --test-dir build/dev -LE 'slow|layers'
tsan: | build
	$(call build,tsan)
	$(CTEST) --test-dir build/tsan -LE 'slow|layers'
clang: | build
	$(call build,clang)
	$(CTEST) --test-dir build/clang -LE slow

valgrind: release
	tools/valgrind.sh build/release

bench: release
	bench/run build/release

fuzz: | build
	$(call build,fuzz)
	tools/fuzz.sh build/fuzz $(FUZZ_SECONDS)

coverage: release
	tools/coverage.sh build/release

format:
	clang-format -i $(FORMATTED)
check-layers:
	@tools/check_layers.sh

install: release
	cmake --install build/release --prefix $(DESTDIR)$(PREFIX)
clean:
	rm -rf build
