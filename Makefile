# ndshare: the front door. CMake does the work; see CMakePresets.json.
#
#   make            build into build/
#   make run        install what is missing, build, run the nine ways
#   make test       the same, then every test
#   make crash      kill every operation in each of its distinct states
#   make crash-nightly  the five hottest after every single instruction
#   make python-versions  the package with every CPython that is there: its own
#                   tests and CPython's; PYTHONS='...' names others than pyenv's
#   make model      search the protocols' models, killed at every step
#   make soak       random murder of a queue's users, SOAK_SECONDS=1800
#   make install    PREFIX=/usr/local [DESTDIR=]
#   make bench      what each way costs here, beside stock Python; ARGS='...'
#                   as for ndshare bench
#   make bench-figures  each figure we want to reach: wanted, measured, floor;
#                   ARGS='--only program' for a part, --list for their names
#   make bench-manager  our manager beside Python's, from a stock client
#   make bench-peers  the same work through others; ARGS='--rounds 3'
#   make bench-compare  this tree beside its parent commit, or BASE=REV:
#                   fails when a figure is worse by more than 15 %
#   make fuzz       each fuzz target for FUZZ_SECONDS=60
#   make clean

PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
SOAK_SECONDS ?= 1800

all: build

bootstrap-run:
	@scripts/bootstrap run

bootstrap-test:
	@scripts/bootstrap test

bootstrap-fuzz:
	@scripts/bootstrap fuzz

# The presets say where; a build directory that is there is only built.
build: bootstrap-run
	@scripts/build release -DNDS_TESTS=OFF

run: build
	@build/bin/ndshare tour

test: bootstrap-test
	@scripts/run-tests

# Printed at the end: "N passed, N failed".
crash: bootstrap-test
	@scripts/build release -DNDS_TESTS=ON -- step
	@build/tests/step --all

crash-nightly: bootstrap-test
	@scripts/build release -DNDS_TESTS=ON -- step
	@build/tests/step --every

# Makes the interpreters' environments; says which it found.
python-versions: bootstrap-test
	@scripts/python-versions $(PYTHONS)

# Builds nothing; needs spin and a C compiler.
model:
	@for m in chan mutex sweep; do tests/model/run.sh $$m || exit; done

soak: bootstrap-test
	@scripts/build release -DNDS_TESTS=ON -- soak_chan
	@build/tests/soak_chan --seconds $(SOAK_SECONDS)

install: build
	@cmake -DCMAKE_INSTALL_PREFIX=$(PREFIX) build >/dev/null
	@cmake --install build
	@rm -f build/install_manifest.txt # root's would stop the next one's
	@[ -n "$(DESTDIR)" ] || [ "$$(id -u)" -ne 0 ] || ldconfig

bench: build
	@build/bin/ndshare bench --vs python $(ARGS)

bench-figures: bootstrap-test peers
	@scripts/build release -DNDS_TESTS=ON -- ndshare_cli \
	  bench_chan bench_floor bench_limit bench_mem bench_mgr bench_proc
	@/usr/bin/python3 bench/figures.py $(ARGS)

bench-manager: build
	@scripts/build release -DNDS_TESTS=ON -- bench_limit
	@python3 bench/manager.py $(ARGS)

# What is measured against is built apart: nothing else needs it.
peers: build
	@scripts/bootstrap peers
	@cmake -S bench/peers -B build/peers >build/peers.log 2>&1 && \
	cmake --build build/peers -j $(JOBS) >>build/peers.log 2>&1 || \
	{ cat build/peers.log; exit 1; }

bench-peers: peers
	@python3 bench/peers/run.py $(ARGS)

bench-compare: bootstrap-test
	@python3 bench/compare.py $(if $(BASE),--base $(BASE)) $(ARGS)

fuzz: bootstrap-fuzz
	@fuzz/run.sh

clean:
	rm -rf build

.PHONY: all bootstrap-run bootstrap-test bootstrap-fuzz build run test \
        crash crash-nightly python-versions model soak install bench bench-manager bench-peers \
        bench-compare fuzz clean
