# Everything a newcomer needs: `make demo` shows the main job, `make test` proves it. Both do their own set-up.
SHELL := /bin/bash
.PHONY: demo test setup judges cloud-judges fmt lint docs deny fuzz bench clean

CARGO ?= cargo
VENV := target/judges
CLOUD_JUDGES := target/cloud-judges
GRAPH_DESCRIPTION ?= ../shared/graph/graph-openapi.json
FUZZ_SECONDS ?= 60

demo: setup ## Connect a tenant at a stand-in for Microsoft's cloud, send the demo mail by the connectors made there, print what happened. BROWSER=20min: connect it yourself, in a browser.
	$(CARGO) build --locked --workspace --bins
	tests/cloud/demo.sh "$${CARGO_TARGET_DIR:-target}/debug" target/demo $(BROWSER)

test: setup judges ## All tests, with the foreign judges.
	SIGNET_JUDGES=$(CURDIR)/$(VENV) $(CARGO) test --locked --workspace

setup: ## The pinned toolchain with its wasm target.
	@rustup toolchain install >/dev/null 2>&1 || rustup toolchain install

judges: ## Foreign verifiers and clients that tests compare with (Debian and PyPI packages).
	@tests/judges/install.sh $(VENV)

cloud-judges: setup ## Microsoft's own clients (MSAL, Graph SDK) and API description against the stand-in for Microsoft's cloud.
	@tests/cloud/judges/install.sh $(CLOUD_JUDGES)
	$(CARGO) build --locked --package signet-cloud
	tests/cloud/judges/run.sh $(CLOUD_JUDGES) "$${CARGO_TARGET_DIR:-target}/debug/signet-cloud" $(GRAPH_DESCRIPTION)

fmt:
	$(CARGO) fmt --all --check

lint: setup
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

docs: setup
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --document-private-items

deny: setup
	@.ci/deny

fuzz: setup ## Every fuzz target for FUZZ_SECONDS (60) seconds.
	@.ci/fuzz $(FUZZ_SECONDS)

bench: setup ## Throughput, processor time and latency on loopback; prints its method. BENCH=--quick for a first look, BENCH=--scale for a large tenant, BENCH=--synchronise for its directory.
	$(CARGO) build --release --locked --package signet --package signet-bench
	target/release/signet-bench $(BENCH)

clean:
	$(CARGO) clean
