# filmgate: `make help` lists what there is.
# DEPS=skip installs nothing; BUILD names another build directory, PREFIX where install installs.

BUILD ?= build
PREFIX ?= /usr/local
PORT_BASE ?= 9201
BINARY = $(BUILD)/filmgate

.DEFAULT_GOAL := help

.PHONY: help
help: ## list these verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.PHONY: demo
demo: build ## build, render one video from two drawn images, look into demo-out/
	@examples/demo $(BINARY)

.PHONY: run
run: build ## serve on 127.0.0.1:8080 with ./var; the first start makes a key and prints it
	@$(BINARY) serve --data var --listen 127.0.0.1:8080 --first-key first

.PHONY: simulators
simulators: deps-simulators ## simulated upstreams on 127.0.0.1, from port 9201 on: PORT_BASE=9201, LEDGER=folder keeps what they accept
	@node=$$(ls tests/live/node_modules/node-linux-*/bin/node 2>/dev/null | head -n 1); \
	exec "$${node:-node}" tests/simulators/run.js --port-base $(PORT_BASE) $(if $(LEDGER),--ledger '$(LEDGER)')

.PHONY: build
build: deps ## build the binary: build/filmgate
	@[ -f $(BUILD)/build.ninja ] || meson setup $(BUILD) >/dev/null
	@[ -x $(BINARY) ] || echo "building filmgate: a minute or two"
	@said=$$(ninja -C $(BUILD) filmgate --quiet 2>&1) || { printf '%s\n' "$$said" >&2; exit 1; }

.PHONY: install
install: deps ## build it, and install it as PREFIX/bin/filmgate (PREFIX=/usr/local)
	@[ -f $(BUILD)/build.ninja ] || meson setup $(BUILD) >/dev/null
	@meson configure $(BUILD) -Dprefix=$(abspath $(PREFIX))
	@$(MAKE) --no-print-directory build DEPS=skip
	@meson install -C $(BUILD) --no-rebuild

.PHONY: test
test: deps-test ## everything: units, sanitizers, live tests; ends with «N passed, N failed»
	@tools/test all

.PHONY: check
check: deps-test ## the quick form of test
	@tools/test quick

.PHONY: asan
asan: deps-test ## units and quick live tests under AddressSanitizer and UndefinedBehaviorSanitizer
	@tools/test asan

.PHONY: tsan
tsan: deps-test ## units and quick live tests under ThreadSanitizer
	@tools/test tsan

.PHONY: soak
soak: deps-test ## the engine in simulated worlds from fresh seeds: SECONDS=60
	@[ -f $(BUILD)/build.ninja ] || meson setup $(BUILD) >/dev/null
	@ninja -C $(BUILD) --quiet tests/sim/sim
	@$(BUILD)/tests/sim/sim --seconds $(or $(SECONDS),60)

.PHONY: bench
bench: deps-bench ## measure, as ratios to something known, in one run
	@bench/run

.PHONY: clean-room
clean-room: deps-clean-room ## prove it on a fresh Debian 12: WHAT="demo test", KEEP=1 keeps its root
	@tools/clean-room $(WHAT)

.PHONY: fuzz
fuzz: deps-fuzz ## feed each parser strange bytes: SECONDS=20 for each harness
	@tools/fuzz $(or $(SECONDS),20)

.PHONY: lint
lint: deps-lint ## layers, layout, clang's warnings, clang-tidy, cppcheck
	@tools/lint

.PHONY: format
format: deps-lint ## lay the C out by .clang-format
	@clang-format -i $$(git ls-files 'src/*.[ch]' 'tests/*.[ch]' 'bench/*.[ch]')

.PHONY: docs
docs: build ## write the tables of docs/REFERENCE.md anew from the binary
	@tools/docs $(BINARY)

.PHONY: deps deps-test deps-bench deps-clean-room deps-fuzz deps-lint deps-simulators
deps:
	@tools/deps build run
deps-test:
	@tools/deps build run test
deps-bench:
	@tools/deps build run test bench
deps-clean-room:
	@tools/deps clean-room
deps-fuzz:
	@tools/deps build run test fuzz
deps-lint:
	@tools/deps build run test lint
deps-simulators:
	@tools/deps simulators

.PHONY: clean
clean: ## remove what was built
	@rm -rf build build-asan build-tsan build-clang build-bench build-fuzz demo-out clean-room
