# gradus: `make` builds both precisions, `make help` lists the rest.
#
# One source, two flavours: objects go to build/MODE-f32 and build/MODE-f64, and those of files that never see `real`
# to build/MODE, for both. MODE is release, debug, asan, tsan, coverage or fuzz; CXX=clang++
# builds beside them in build/clang-MODE*.
# V=1 shows the commands.

comma := ,
MODE ?= release
ARCH ?= native
CLANG := $(if $(findstring clang,$(CXX)),clang-)
B := build/$(CLANG)$(MODE)
B32 := build/$(CLANG)$(MODE)-f32
B64 := build/$(CLANG)$(MODE)-f64
Q := $(if $(V),,@)
JOBS := $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc))

# OpenBLAS in its pthread build by name, wherever the machine's alternatives point; else what pkg-config finds.
BLAS_PC := $(firstword $(wildcard /usr/lib/*/openblas-pthread/pkgconfig))
BLAS_CFLAGS := $(shell PKG_CONFIG_PATH=$(BLAS_PC):$$PKG_CONFIG_PATH pkg-config --cflags openblas 2>/dev/null)
BLAS_LIBS := $(shell PKG_CONFIG_PATH=$(BLAS_PC):$$PKG_CONFIG_PATH pkg-config --libs openblas 2>/dev/null)
BLAS_RPATH := $(if $(BLAS_PC),-Wl$(comma)-rpath$(comma)$(patsubst %/pkgconfig,%,$(BLAS_PC)))

# -ffp-contract=off: debug and release, g++ and clang give the same bits; fused multiply-adds are written std::fma.
# -Wno-restrict: g++ 12 warns wrongly about std::string (its bug 105651).
ARITHMETIC := -march=$(ARCH) -ffp-contract=off -fno-math-errno -fno-trapping-math
FLAGS_release := -O3
FLAGS_debug := -O0 -g3 -fno-omit-frame-pointer -DGRADUS_POISON
FLAGS_asan := -O1 -g1 -fno-omit-frame-pointer -DGRADUS_POISON -fsanitize=address,undefined -fno-sanitize-recover=undefined
FLAGS_fuzz := -O1 -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
FLAGS_tsan := -O1 -fno-omit-frame-pointer -fsanitize=thread
FLAGS_coverage := -O1 --coverage -fprofile-update=atomic
LINK_asan := -fsanitize=address,undefined
LINK_fuzz := $(LINK_asan)
LINK_tsan := -fsanitize=thread
LINK_coverage := --coverage
CXXFLAGS += -std=c++20 -g -Wall -Wextra -Wshadow $(if $(CLANG),,-Wno-restrict) $(ARITHMETIC) $(FLAGS_$(MODE))
CPPFLAGS += -I. -MMD -MP $(patsubst -I%,-isystem%,$(BLAS_CFLAGS))
LDFLAGS += $(LINK_$(MODE))
UTF8PROC_LIBS := $(shell pkg-config --libs libutf8proc 2>/dev/null)
LDLIBS += $(BLAS_LIBS) $(BLAS_RPATH) $(UTF8PROC_LIBS) -pthread

# MPI=1: programs that mpirun can start on several ranks. One file differs (engine/io/mpi.cpp), so it has an object of its
# own, and the programs have, beside those that know no MPI.
MPI_ON := $(if $(filter-out 0,$(MPI)),-mpi)
MPI_PC := $(firstword $(shell for pc in ompi-c mpich mpi-c; do pkg-config --exists $$pc 2>/dev/null && echo $$pc; done))
ifneq ($(MPI_ON),)
ifeq ($(MPI_PC),)
$(error make MPI=1 needs MPI: apt-get install libopenmpi-dev openmpi-bin)
endif
endif
MPI_CFLAGS := $(if $(MPI_ON),-DGRADUS_MPI $(patsubst -I%,-isystem%,$(shell pkg-config --cflags $(MPI_PC) 2>/dev/null)))
MPI_LIBS := $(if $(MPI_ON),$(shell pkg-config --libs $(MPI_PC) 2>/dev/null))

LIB := $(wildcard engine/*.cpp engine/*/*.cpp models/*.cpp models/*/*.cpp rl/*.cpp rl/*/*.cpp)
APP := $(wildcard apps/*.cpp apps/*/*.cpp)
TEST := $(filter-out tests/fault_new.cpp,$(wildcard tests/*.cpp tests/plain/*.cpp)) tests/fuzz/targets.cpp
PROGRAM_TEST := $(wildcard tests/program/*.cpp)
LIB_EMBEDDED := $(wildcard engine/*/*.css engine/*/*.js)
EMBEDDED := $(LIB_EMBEDDED) $(wildcard apps/*/*.css apps/*/*.js apps/*/*.txt)
EXERCISES := $(patsubst %/,%,$(wildcard tests/exercises/[0-9]*/))
# Tests of parts of the program are linked with all of it.
TESTED_APP := $(filter-out apps/main.cpp,$(APP))

# Wings that never see `real`, not even through an include, are compiled once for both flavours (engine/real.h stands
# guard), and so are two files that a library's header makes slow to compile.
ONCE := $(wildcard $(addsuffix /*.cpp,engine/io models/text models/grammar rl/tables apps/report apps/kl tests/plain tests/program)) \
  apps/command_line.cpp tests/main.cpp
# $(call objects,FOLDER OF THE FLAVOUR,SOURCES)
objects = $(patsubst %.cpp,$(1)/%.o,$(filter-out $(ONCE),$(2))) $(patsubst %.cpp,$(B)/%.o,$(filter $(ONCE),$(2)))

.PHONY: all measure bench-peers demo rlhf tasks corpora test test-slow debug gdb stepper exercise exercises asan tsan coverage fuzz lint format format-check lines clean help packages binaries run-tests run-slow-tests install uninstall install-files readme-check run-readme-check

# $(call build,TARGETS VARIABLES): builds them, says before how much there is to do and counts the files. A file takes a core
# about 1.4 s, and 1 s in debug mode (measured with g++ 12 on an Intel Xeon of 2023).
build = n=$$($(MAKE) -n --no-print-directory $(1) 2>/dev/null | grep -c 'CXX  .*\.cpp"$$'); \
  of=$(if $(findstring MODE=debug,$(1)),10,14); s=$$((n * of / 10 / $(shell nproc) / 10 * 10 + 10)); \
  [ $$n -lt 8 ] || echo "Compiling $$n files$(if $(findstring MODE=debug,$(1)), for the debugger), about $$s s if $(shell nproc) cores are free."; \
  begun=$$(mktemp); $(MAKE) $(JOBS) --no-print-directory $(1) OF=$$n BEGUN=$$begun; code=$$?; rm -f $$begun; [ $$code = 0 ]

# $(call compiling,WORDS): what a recipe says; within `build` with its number, that of the line with the recipe's own
# process in a file to which each adds one.
compiling = $(if $(OF),n=$$(echo $$$$ >>$(BEGUN); grep -nx $$$$ $(BEGUN) | tail -n 1); echo "[$${n%:*}/$(OF)] CXX  $(1)",echo "  CXX  $(1)")

all: packages  ## build/gradus and build/gradus-f64 (installs missing packages first)
	@begin=$$(date +%s); { $(call build,binaries); } && \
	echo "Built build/gradus and build/gradus-f64 in $$(($$(date +%s) - begin)) s ($$($(CXX) -dumpversion | sed 's/^/$(CXX) /'), $$(nproc) cores)." && \
	echo "Next: make demo · make test · make help"

demo: packages  ## train on data/fables.txt for half a minute, fine-tune, show text before and after
	@$(call build,build/gradus)
	@sh apps/demo.sh

rlhf: packages  ## preferences: a reward model and RL on it, DPO, and both beside the exact frontier; about a minute
	@$(call build,build/gradus)
	@sh apps/rlhf.sh

tasks: packages  ## translation, summaries, questions, dialogue: learnt, then fine-tuned, in a few minutes (data/tasks)
	@$(call build,build/gradus build/gradus-f64)
	@sh data/tasks/run.sh

corpora:  ## larger public texts from Debian packages, in build/corpora
	@sh data/corpora.sh

test: packages  ## everything a change must pass, both precisions
	@$(call build,MODE=debug stepper)
	@$(call build,run-tests)

test-slow: packages  ## exercises, sanitizers, debug = release, g++ = clang, kill -9 in a loop (CI=1: the short form)
	@$(MAKE) $(JOBS) --no-print-directory run-slow-tests

debug: packages  ## the same programs for a debugger: build/debug-f32/gradus, build/debug-f64/gradus
	@$(call build,MODE=debug build/debug-f32/gradus build/debug-f64/gradus)

gdb: packages  ## step through gradients in a debugger: make gdb ARGS="step lstm"
	@command -v gdb >/dev/null || { echo "make gdb needs gdb: apt-get install gdb"; exit 1; }
	@$(call build,MODE=debug build/debug-f64/gradus)
	@gdb -q -iex 'set debuginfod enabled off' -x engine/gdb/gradus.py --args build/debug-f64/gradus $(or $(ARGS),step lstm)

# Programs and tests of both precisions, built in a MODE of their own.
BUILD_MODE = $(MAKE) $(JOBS) --no-print-directory MODE=$@ $(foreach r,f32 f64,build/$@-$(r)/gradus build/$@-$(r)/tests/all) && \
  $(MAKE) $(JOBS) --no-print-directory MODE=release build/release/tests/program/all
asan tsan: packages  ## all tests of both precisions under the address and undefined-behaviour, or the thread sanitizer
	@$(BUILD_MODE)
	@sh tests/sanitized.sh $@
coverage: packages  ## which lines of the library and the program the tests reach
	@$(BUILD_MODE)
	@sh tests/coverage.sh

measure: packages  ## figures of training that take minutes, each beside what it should be
	@$(MAKE) $(JOBS) --no-print-directory MODE=release build/gradus-f64 build/release-f64/tests/all
	@for part in tests/measure/*.sh; do sh $$part || exit 1; done

bench-peers: packages  ## gradus and PyTorch on the same work in turn (PEERS="--pairs 5 --seconds 2 gpt-step ...")
	@$(MAKE) $(JOBS) --no-print-directory MODE=release build/gradus
	@sh tests/bench/run.sh $(PEERS)

# VERSION, that of engine/version.h, is what pkg-config reports.
VERSION := $(shell sed -n 's|.*kGradusVersion = "\(.*\)".*|\1|p' engine/version.h)
PREFIX ?= /usr/local
install: packages  ## programs, static libraries, headers, gradus.pc (PREFIX=/usr/local DESTDIR=)
	@$(call build,MODE=release install-files)

uninstall:  ## remove exactly what make install put there (the same PREFIX and DESTDIR)
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' sh apps/install.sh uninstall

readme-check: packages  ## run what README shows and compare what it prints
	@$(MAKE) $(JOBS) --no-print-directory MODE=release run-readme-check

exercise: packages  ## the list of lessons; make exercise N=3: one of them (HINT=1: a hint; SOLUTION=1; GDB=1: in gdb)
	@N='$(N)' HINT='$(HINT)' SOLUTION='$(SOLUTION)' GDB='$(GDB)' AT='$(B64)' \
	  BUILD='$(MAKE) $(JOBS) -s --no-print-directory' sh tests/exercises/exercise.sh

fuzz: packages  ## clang's fuzzer on every kind of input, one after the other (SECONDS=60 TARGET="json kl")
	@command -v clang++ >/dev/null || { echo "fuzz needs clang++: apt-get install clang"; exit 1; }
	@$(MAKE) $(JOBS) --no-print-directory build/gradus
	@$(MAKE) $(JOBS) --no-print-directory MODE=fuzz CXX=clang++ build/clang-fuzz-f64/fuzz
	@sh tests/fuzz/run.sh $(or $(SECONDS),60) $(TARGET)

lint: packages  ## clang-tidy on the library and the program, and the floors
	@sh tests/check_floors.sh
	@command -v clang-tidy >/dev/null || { echo "lint needs clang-tidy: apt-get install clang-tidy"; exit 1; }
	@$(MAKE) --no-print-directory compile_commands.json
	@printf '%s\n' $(LIB) $(APP) | xargs -P 2 -n 1 \
	  sh -c 'out=$$(clang-tidy --quiet -p . --warnings-as-errors="*" $$1 2>&1); code=$$?; printf "%s\n" "$$out" | sed "/^$$/d; / warnings generated/d"; exit $$code' lint && echo "lint: clean"

format:  ## clang-format on every source
	@clang-format -i $(shell git ls-files '*.h' '*.cpp')
format-check:  ## check that every source is formatted
	@command -v clang-format >/dev/null || { echo "format-check needs clang-format: apt-get install clang-format"; exit 1; }
	@clang-format --dry-run --Werror $(shell git ls-files '*.h' '*.cpp') && echo "format: clean"

lines:  ## lines of code by folder, and the longest files
	@for d in engine models rl apps tests; do printf '%-8s %6d\n' $$d $$(git ls-files $$d | grep -E '\.(h|cpp)$$' | xargs cat | wc -l); done
	@git ls-files | grep -E '\.(h|cpp|py|js)$$' | xargs wc -l | grep -v total | sort -rn | head -12

compile_commands.json: Makefile $(LIB) $(APP) $(TEST) $(PROGRAM_TEST)  ## for clangd and clang-tidy
	@{ echo '['; sep=; for f in $(LIB) $(APP) $(TEST) $(PROGRAM_TEST); do \
	  printf '%s{"directory":"%s","file":"%s","command":"%s"}\n' "$$sep" '$(CURDIR)' $$f "c++ -DGRADUS_REAL=float -I. $(patsubst -I%,-isystem%,$(BLAS_CFLAGS)) $(CXXFLAGS) -c $$f"; sep=,; \
	done; echo ']'; } | sed 's/ -Wno-restrict//' > $@

clean:  ## remove build/
	rm -rf build compile_commands.json

help:  ## this list
	@awk -F ':.*## ' '/^[a-z_.-]+:.*## / {printf "make %-22s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

# ---------------------------------------------------------------------------------------------------- what to build

binaries: build/gradus build/gradus-f64

$(B32)/%.o: %.cpp Makefile
	@mkdir -p $(@D); $(call compiling,f32 $<)
	$(Q)$(CXX) -DGRADUS_REAL=float $(CPPFLAGS) $(CXXFLAGS) -c $< -o $@
$(B64)/%.o: %.cpp Makefile
	@mkdir -p $(@D); $(call compiling,f64 $<)
	$(Q)$(CXX) -DGRADUS_REAL=double $(CPPFLAGS) $(CXXFLAGS) -c $< -o $@
$(B)/%.o: %.cpp Makefile
	@mkdir -p $(@D); $(call compiling,    $<)
	$(Q)$(CXX) -DGRADUS_NO_REAL $(CPPFLAGS) $(CXXFLAGS) -c $< -o $@

# A style, a script or a page of text becomes the array that the embedded.h of the program or a wing declares.
$(EMBEDDED:%=$(B)/%.o): $(B)/%.o: % Makefile
	@mkdir -p $(@D); echo "  EMBED    $<"
	$(Q)printf '.section .rodata\n.global %s\n%s:\n.incbin "$<"\n.byte 0\n.section .note.GNU-stack,"",%%progbits\n' \
	  $(subst .,_,$(subst /,_,$< $<)) | $(CXX) -x assembler -c - -o $@

# The library runs hot; the program and the tests call it. Debug information of every type is wanted where a debugger
# looks into release builds, in the engine; elsewhere lines are enough.
# SLP: g++ 12 with AVX-512 writes eight ones for the constant list {1, 1, 1, 0, 0, 0, 0, 0} of double when it packs
# straight-line code into vectors (a sort of list that the kernels, which gain from it, do not have).
NO_SLP := -fno-tree-slp-vectorize
$(foreach b,$(B) $(B32) $(B64),$(b)/models/%.o $(b)/rl/%.o): FLAGS_release := -O3 -g1 $(NO_SLP)
$(foreach b,$(B) $(B32) $(B64),$(b)/apps/%.o): FLAGS_release := -O2 -g1 $(NO_SLP)
$(foreach b,$(B) $(B32) $(B64),$(b)/tests/%.o): FLAGS_release := -O1 -g1 $(NO_SLP)
# The undefined-behaviour sanitizer watches what the tests call; watching the tests themselves would double the time of a build.
$(foreach b,$(B) $(B32) $(B64),$(b)/tests/%.o): FLAGS_asan := -O0 -g1 -fno-omit-frame-pointer -DGRADUS_POISON -fsanitize=address
$(B32)/apps/bench.o $(B64)/apps/bench.o: FLAGS_release := -O3 -g1  # it measures what the processor can do

# The engine's own matrix product is optimised in other builds too: without that it would be a hundred times slower.
$(B32)/engine/product.o $(B64)/engine/product.o: CXXFLAGS += -O3

ARCHIVE = @echo "  AR   $@"; rm -f $@; $(AR) rcs $@ $^
LINK = @echo "  LINK $@"; $(CXX) $(LDFLAGS) $(filter %.o,$^) $(LDLIBS) -o $@
$(B)/engine/io/mpi-mpi.o: engine/io/mpi.cpp Makefile
	@mkdir -p $(@D); $(call compiling,mpi $<)
	$(Q)$(CXX) -DGRADUS_NO_REAL $(CPPFLAGS) $(MPI_CFLAGS) $(CXXFLAGS) -c $< -o $@
# $(call program,FOLDER OF THE FLAVOUR): what a program is linked from.
program = $(patsubst %/io/mpi.o,%/io/mpi$(MPI_ON).o,$(call objects,$(1),$(LIB) $(APP))) $(EMBEDDED:%=$(B)/%.o)
$(B32)/gradus$(MPI_ON): LDLIBS += $(MPI_LIBS)
$(B64)/gradus$(MPI_ON): LDLIBS += $(MPI_LIBS)
$(B32)/gradus$(MPI_ON): $(call program,$(B32))
	$(LINK)
$(B64)/gradus$(MPI_ON): $(call program,$(B64))
	$(LINK)
$(B32)/tests/all: $(call objects,$(B32),$(LIB) $(TESTED_APP) $(TEST)) $(EMBEDDED:%=$(B)/%.o)
	$(LINK)
$(B64)/tests/all: $(call objects,$(B64),$(LIB) $(TESTED_APP) $(TEST)) $(EMBEDDED:%=$(B)/%.o)
	$(LINK)
$(B64)/fuzz: $(call objects,$(B64),$(LIB) $(TESTED_APP) tests/fuzz/targets.cpp tests/fuzz/fuzz.cpp) $(EMBEDDED:%=$(B)/%.o)
	@echo "  LINK $@"; $(CXX) $(LDFLAGS) -fsanitize=fuzzer $^ $(LDLIBS) -o $@
# Tests that run the programs, whatever their precision.
$(B)/tests/program/all: $(call objects,$(B64),$(PROGRAM_TEST) tests/main.cpp engine/io/json.cpp engine/io/json_reader.cpp engine/io/hash.cpp engine/error.cpp)
	@echo "  LINK $@"; $(CXX) $(LDFLAGS) $^ -o $@
# What tests/test_gdb.sh walks through in `make test`: the engine without optimisation, and the examples of `gradus step`.
$(B64)/stepper: $(call objects,$(B64),$(wildcard engine/*.cpp engine/io/*.cpp) apps/step/examples.cpp tests/gdb/stepper.cpp)
	$(LINK)
stepper: $(B64)/stepper
# The suite of an exercise with the function in exercise.cpp, or with that in solution.cpp; of the library the engine only.
EXERCISED := $(call objects,$(B64),$(wildcard engine/*.cpp engine/io/*.cpp) tests/exercises/main.cpp)
$(B64)/tests/exercises/%.o: FLAGS_release := -O0
$(B64)/tests/exercises/%.o: CXXFLAGS += -Wno-unused-parameter -Wno-unused-variable
$(EXERCISES:%=$(B64)/%/yours): %/yours: %/test.o %/exercise.o $(EXERCISED)
	$(LINK)
$(EXERCISES:%=$(B64)/%/solved): %/solved: %/test.o %/solution.o $(EXERCISED)
	$(LINK)
$(B32)/libgradus-f32.a: $(call objects,$(B32),$(LIB)) $(LIB_EMBEDDED:%=$(B)/%.o)
	$(ARCHIVE)
$(B64)/libgradus-f64.a: $(call objects,$(B64),$(LIB)) $(LIB_EMBEDDED:%=$(B)/%.o)
	$(ARCHIVE)
# Of the last MODE, CXX and MPI that were asked for.
build/gradus: $(B32)/gradus$(MPI_ON) FORCE
	@cmp -s $< $@ || cp -f $< $@
build/gradus-f64: $(B64)/gradus$(MPI_ON) FORCE
	@cmp -s $< $@ || cp -f $< $@
FORCE:
build/tests/fault_io.so: tests/fault_io.c
	@mkdir -p $(@D); echo "  CC   $<"
	$(Q)$(CC) -O1 -shared -fPIC $< -ldl -o $@

build/tests/fault_new.so: tests/fault_new.cpp
	@mkdir -p $(@D); $(call compiling,$<)
	$(Q)$(CXX) -O1 -std=c++20 -shared -fPIC $< -o $@

LIBRARIES := $(B32)/libgradus-f32.a $(B64)/libgradus-f64.a
install-files: binaries $(LIBRARIES)
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' OBJECTS='$(B32:-f32=)' VERSION='$(VERSION)' CFLAGS='$(ARITHMETIC)' \
	  LIBS='$(BLAS_LIBS) $(BLAS_RPATH) $(UTF8PROC_LIBS) -pthread' sh apps/install.sh install

run-readme-check: binaries $(LIBRARIES)
	@sh tests/test_readme.sh
run-tests: $(LIBRARIES) build/gradus build/gradus-f64 $(B32)/tests/all $(B64)/tests/all $(B)/tests/program/all build/tests/fault_io.so build/tests/fault_new.so
	@sh tests/run.sh
exercises: $(EXERCISES:%=$(B64)/%/yours) $(EXERCISES:%=$(B64)/%/solved)
run-slow-tests: build/gradus build/gradus-f64 build/tests/fault_io.so build/tests/fault_new.so
	@sh tests/run_slow.sh

-include $(wildcard build/*/*/*.d build/*/*/*/*.d build/*/tests/exercises/*/*.d)

# ---------------------------------------------------------------------------------------------------- packages

packages: build/packages
build/packages:
	@mkdir -p build
	@CXX='$(CXX)' BLAS_CFLAGS='$(BLAS_CFLAGS)' BLAS_LIBS='$(BLAS_LIBS)' NO_INSTALL='$(NO_INSTALL)' sh apps/packages.sh
	@touch $@
