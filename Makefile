# Commands on a fresh machine with a Docker Engine, Rust and make:
#   make demo     a service declared, reached, scaled, rolled under load, removed
#   make test     formatting, lints, all tests; those of tests/engine use the Docker Engine
#   make images   hello:v1 and hello:v2, the example service of the quickstart
#   make bench    the figures of docs/benchmarks.md, measured here
#   make storm    100,000 requests while services are rolled, scaled, restarted and undone; about ten minutes

# The repository that `make images` puts its tags in.
IMAGE ?= hello

.PHONY: help demo images test bench storm

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
	cargo test

storm:
	@tests/tools.sh cargo cc engine
	STORM=full cargo test --test engine storm -- --nocapture

bench:
	@tests/tools.sh cargo cc docker engine nginx wrk
	cargo bench --bench figures
