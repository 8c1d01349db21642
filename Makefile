# Commands on a fresh machine with a Docker Engine, Rust and make:
#   make demo     a service declared, reached, scaled, rolled under load, removed
#   make test     formatting, lints, all tests; those of tests/engine use the Docker Engine
#   make images   hello:v1 and hello:v2, the example service of the quickstart
#   make bench    the figures of docs/benchmarks.md, measured here
#   make storm    100,000 requests while services are rolled, scaled, restarted and undone; about ten minutes
#   make seeds    the simulation from SEEDS=2000 fresh seeds; prints the first, and the one that breaks a law

# The repository that `make images` puts its tags in.
IMAGE ?= hello
# Tests on the Docker Engine that run at a time: they wait more than they compute.
ENGINE_THREADS ?= 4
# How many seeds `make seeds` runs, and from which; a random one if not given.
SEEDS ?= 2000
FROM ?= $(shell shuf --input-range=1-1000000000 --head-count=1)

.PHONY: help demo images test bench storm seeds

help:
	@sed -n 's/^#   //p' Makefile

demo:
	@tests/tools.sh cargo cc curl docker engine
	examples/demo.sh

images:
	@tests/tools.sh cargo cc docker engine
	@examples/hello/image.sh $(IMAGE):v1 v1
	@examples/hello/image.sh $(IMAGE):v2 v2

test:
	@tests/tools.sh cargo cc fmt clippy curl docker engine
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	cargo test --no-run
	cargo test --lib --bins --test it
	cargo test --test engine -- --test-threads=$(ENGINE_THREADS)

storm:
	@tests/tools.sh cargo cc engine
	STORM=full cargo test --test engine storm -- --nocapture

seeds:
	@tests/tools.sh cargo cc
	@from=$(FROM); echo "seeds from $$from"; \
	SIM_FROM=$$from SIM_SEEDS=$(SEEDS) cargo test --test it simulation::random_faults -- --nocapture

bench:
	@tests/tools.sh cargo cc docker engine nginx wrk
	cargo bench --bench figures
