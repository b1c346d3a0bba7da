# A thin front over Meson; the two commands a newcomer needs are `make run` and `make test`.
#
#   make run     packages, build, base template, server on 127.0.0.1:3000, first sandbox; keeps serving
#   make interpreter    the template code-interpreter-v1, for @e2b/code-interpreter
#   make test    packages, build, every suite; ends with "N passed, N failed, N skipped"
#   make bench   measurements as JSON        make fuzz    every fuzz target at length
#   make build   only build                  make format  clang-format in place
#   make analyse    gcc -fanalyzer and clang-tidy over src
#   make coverage   which lines of src the suites run: build/coverage/report
#   make soak    mixed load beside a model, with faults: SOAK_MINUTES=45 SOAK_SEED=1
#   make install                             make clean
#   make deb     build/sandlot_VERSION_amd64.deb, for Debian 12 and 13
DATA ?= /var/lib/sandlot
BUILD ?= build/release
FUZZ_SECONDS ?= 600
SOAK_MINUTES ?= 45
SOAK_SEED ?= 1

.PHONY: run interpreter build test bench fuzz analyse coverage soak format tidy install deb clean

run:
	tools/deps run
	tools/criu
	TARGET=product tools/build $(BUILD)
	tools/users
	tools/make-template base $(DATA)
	tools/run $(BUILD) $(DATA) $(RUN_FLAGS)

interpreter:
	tools/deps run
	TARGET=product tools/build $(BUILD)
	SANDLOT_PROGRAMS=$(BUILD)/src/interpreter tools/make-template code-interpreter-v1 $(DATA)

build:
	tools/build $(BUILD)

test:
	tools/deps test
	tools/criu
	tools/test $(TEST_FLAGS)

bench:
	tools/deps bench
	tools/criu
	tools/build $(BUILD)
	tools/bench $(BENCH_FLAGS)

fuzz:
	tools/deps test
	tools/fuzz $(FUZZ_SECONDS)

coverage:
	tools/deps coverage
	tools/criu
	tools/coverage

analyse:
	tools/deps test
	tools/analyse

soak:
	tools/deps test
	tools/criu
	tools/build $(BUILD)
	SANDLOT_TEST_DATA=$${SANDLOT_TEST_DATA:-$(CURDIR)/build/test-data} SANDLOT_TEST_ENVD=$(CURDIR)/$(BUILD)/src/envd/envd \
		tests/api/soak_test.py $(BUILD)/src/main/sandlot $(BUILD)/tests/api/libclock_shim.so \
		minutes=$(SOAK_MINUTES) seed=$(SOAK_SEED) boxes=24 workers=6 out=build/soak

format:
	clang-format -i $$(git ls-files '*.c' '*.h')

tidy:
	tools/tidy

install: build
	meson install -C $(BUILD)

deb:
	tools/deps deb
	tools/build $(BUILD)
	tools/deb $(BUILD) build

clean:
	rm -rf build
