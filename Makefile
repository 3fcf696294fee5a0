# Millrace: one Makefile. `make` builds, `make demo` shows, `make test` proves, `make help` lists.

MODE ?= release
T ?=
CC ?= gcc
B := build/$(MODE)

PACKAGES := libisal yaml-0.1 libzstd liblz4 zlib libpcre2-8 jansson libxxhash nettle sqlite3 expat libprotobuf-c
WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
        -Wundef -Wvla -Wformat=2 -Wcast-qual -Werror
MARCH_x86_64 := -march=x86-64-v2 -mtune=generic
MARCH ?= $(MARCH_$(shell uname -m))
MODE_release := -O3 -g -DNDEBUG -fno-plt
MODE_debug := -O1 -g -fno-omit-frame-pointer -DMR_SLOW_ASSERTS
MODE_asan := -O1 -g -fno-omit-frame-pointer -DMR_SLOW_ASSERTS -fsanitize=address,undefined -fno-sanitize-recover=all
MODE_fuzz := -O1 -g -fno-omit-frame-pointer -DMR_SLOW_ASSERTS -DMR_FUZZ -fsanitize=fuzzer-no-link,address,undefined \
             -fno-sanitize-recover=all
MODE_tsan := -O1 -g -fno-omit-frame-pointer -DMR_SLOW_ASSERTS -fsanitize=thread
VERSION := $(shell cat VERSION 2>/dev/null || echo 0.0.0)

# Floats: no contraction anywhere, so that every machine computes the same bits.
CFLAGS := -std=c17 $(WARN) $(MODE_$(MODE)) $(MARCH) -fPIC -ffp-contract=off -fno-math-errno \
          -fvisibility=hidden -MMD -MP -Isrc -Iinclude -I. -isystem $(B)/gen -D_GNU_SOURCE \
          -DMR_VERSION='"$(VERSION)"' \
          $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null) $(CFLAGS_EXTRA)
LDLIBS = $(shell pkg-config --libs $(PACKAGES) 2>/dev/null) -lm -lpthread -ldl
LDFLAGS := $(filter -fsanitize%,$(MODE_$(MODE))) -Wl,--as-needed -Wl,-O1

SOURCES := $(filter-out %_test.c %_fuzz.c %_bench.c,$(wildcard src/*/*.c))
CORE := $(filter-out src/cmd/%,$(SOURCES))
PROTOS := $(patsubst src/model/%.proto,%,$(wildcard src/model/*.proto))
COMMANDS := $(filter src/cmd/%,$(SOURCES))
FUZZERS := $(wildcard src/*/*_fuzz.c)
TESTS := $(wildcard src/*/*_test.c) $(wildcard test/*.c) $(wildcard sim/*.c) $(FUZZERS)
BENCHES := $(wildcard src/*/*_bench.c) $(wildcard bench/*.c) test/xgboost_oracle.c
objects = $(patsubst %.c,$(B)/%.o,$(1))
GENERATED := $(PROTOS:%=$(B)/gen/%.pb-c.o)

.PHONY: all help setup demo test check bench fuzz soak fuzzers flags fmt tidy install clean
.SECONDARY:

all: $(B)/millrace $(B)/libmillrace.so

help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

## make           build the program and the library (MODE=release|debug|asan|tsan)
## make setup     install the Debian packages the project needs
setup:
	@tools/setup.sh build

# Kernels for one instruction set say so in their file name.
$(B)/%_avx2.o: CFLAGS += -mavx2 -mfma -mbmi -mbmi2
$(B)/%_avx512.o: CFLAGS += -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vbmi -mavx2 -mfma -mbmi -mbmi2

$(B)/src/cmd/version.o: CFLAGS += -DMR_COMMIT='"$(shell git rev-parse --short=12 HEAD 2>/dev/null)"'

$(B)/src/cmd/version.o: $(wildcard .git/logs/HEAD)
$(B)/src/cmd/demo_files.o: $(wildcard examples/cards/*.yaml)

# Readers of protobuf files, made from what src/model/*.proto names; their headers must be there before the readers.
$(B)/gen/%.pb-c.c $(B)/gen/%.pb-c.h &: src/model/%.proto
	@mkdir -p $(@D)
	@protoc-c --proto_path=src/model --c_out=$(B)/gen $<

$(B)/gen/%.pb-c.o: $(B)/gen/%.pb-c.c Makefile
	@$(CC) $(filter-out -W%,$(CFLAGS)) -c -o $@ $<

$(foreach name,$(PROTOS),$(patsubst %.c,$(B)/%.o,$(wildcard src/model/$(name)*.c))): | $(PROTOS:%=$(B)/gen/%.pb-c.h)

$(B)/%.o: %.c Makefile
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS) -c -o $@ $<

$(B)/libmillrace.a: $(call objects,$(CORE)) $(GENERATED)
	@rm -f $@ && ar rcs $@ $^

$(B)/libmillrace.so: $(call objects,$(CORE)) $(GENERATED)
	@$(CC) -shared -Wl,-soname,libmillrace.so.0 $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(B)/millrace: $(call objects,$(COMMANDS)) $(B)/libmillrace.a
	@$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(B)/unit-test: $(call objects,$(TESTS)) $(filter-out %/cmd/main.o,$(call objects,$(COMMANDS))) $(B)/libmillrace.a
	@$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS) $(shell pkg-config --libs cmocka)

$(B)/benchmark: $(call objects,$(BENCHES)) $(B)/libmillrace.a
	@$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# One libFuzzer binary for each X_fuzz.c: make MODE=fuzz CC=clang-14 fuzzers
define fuzzer
$(B)/fuzz-$(patsubst %_fuzz.c,%,$(notdir $(1))): $(call objects,$(1)) $(B)/libmillrace.a
	@$$(CC) -fsanitize=fuzzer,address,undefined -o $$@ $$^ $$(LDLIBS)
fuzzers: $(B)/fuzz-$(patsubst %_fuzz.c,%,$(notdir $(1)))
endef
$(foreach file,$(FUZZERS),$(eval $(call fuzzer,$(file))))

# What the compiler is told, for tools that parse the sources.
flags: $(PROTOS:%=$(B)/gen/%.pb-c.h)
	@echo $(filter-out -MMD -MP -fsanitize%,$(CFLAGS))

## make test      all tests with sanitizers; T=room[.name] runs some of the unit tests
test:
	@tools/setup.sh test
	@tools/test.sh $(T)

# A quick unit-test run without set-up: make check MODE=asan T=segment
check: $(B)/unit-test
	@$(B)/unit-test $(T)

## make bench     measure beside the peers and write docs/benchmarks.md; T=json measures one group anew
bench:
	@tools/setup.sh bench
	@tools/bench.sh $(T)

## make fuzz      fuzz every target for SECONDS each (default 60)
fuzz:
	@tools/setup.sh fuzz
	@tools/fuzz.sh $(or $(SECONDS),60) $(T)

## make soak      memcheck, then crash and simulation tests without end (stop with ^C)
soak:
	@tools/setup.sh soak
	@tools/soak.sh

## make demo      card payments in, decisions out
demo:
	@tools/setup.sh build
	@$(MAKE) --no-print-directory -j$(shell nproc) all
	@$(B)/millrace demo

## make fmt       format the sources
fmt:
	@clang-format-14 -i $(wildcard src/*/*.[ch] test/*.[ch] sim/*.[ch] bench/*.[ch] include/*/*.h)

## make tidy      floors, formatting, clang-tidy, cppcheck
tidy:
	@tools/setup.sh tidy
	@tools/tidy.sh

## make install   binary, library, header, pkg-config file, man page, completion (PREFIX, DESTDIR)
PREFIX ?= /usr/local
install: all
	@tools/install.sh "$(B)" "$(DESTDIR)$(PREFIX)" "$(PREFIX)" "$(VERSION)"

clean:
	@rm -rf build

-include $(shell find $(B) -name '*.d' 2>/dev/null)
