# Commands on a fresh machine with a Docker Engine, Rust and make:
#   make demo     a service declared, reached, scaled, rolled under load, removed
#   make test     formatting, lints, all tests; those of tests/engine use the Docker Engine
#   make images   hello:v1 and hello:v2, the example service of the quickstart
#   make install  ctl, completions and man pages below DESTDIR and PREFIX=/usr/local
#   make deb      a Debian package in target/debian, with the debug symbols in a file next to it
#   make bench    the figures of docs/benchmarks.md, measured here
#   make storm    100,000 requests while services are rolled, scaled, restarted and undone; about ten minutes
#   make boot     the unit under a systemd of its own: start at boot, restart, watchdog, stop, reboot, and the package of `make deb`
#                 installed, upgraded and purged; about four minutes
#   make seeds    the simulation from SEEDS=2000 fresh seeds; prints the first, and the one that breaks a law

# The repository that `make images` puts its tags in.
IMAGE ?= hello
# Tests on the Docker Engine that run at a time: they wait more than they compute.
ENGINE_THREADS ?= 4
# How many seeds `make seeds` runs, and from which; a random one if not given.
SEEDS ?= 2000
FROM ?= $(shell shuf --input-range=1-1000000000 --head-count=1)

# Where `make install` puts files; DESTDIR is the root of a package that is being made.
PREFIX ?= /usr/local
DESTDIR ?=
# The path of ctl in the unit that is made.
EXECUTABLE ?= $(PREFIX)/bin/ctl
# Where cargo puts release builds: .cargo/config.toml names the target.
HOST = $(shell rustc -vV | sed -n 's/^host: //p')
BUILT = $(or $(CARGO_TARGET_DIR),target)/$(HOST)/release
PACKAGE = target/package

.PHONY: help demo images test package install deb bench storm boot seeds

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

# The stripped binary, its debug symbols, and the files that it generates for EXECUTABLE, which is where it will be.
package:
	@tests/tools.sh cargo cc binutils
	cargo build --release --bin ctl
	rm -rf $(PACKAGE)
	mkdir -p $(PACKAGE)
	objcopy --only-keep-debug --compress-debug-sections $(BUILT)/ctl $(PACKAGE)/ctl.debug
	objcopy --strip-all $(BUILT)/ctl $(PACKAGE)/ctl
	cd $(PACKAGE) && objcopy --add-gnu-debuglink=ctl.debug ctl
	$(PACKAGE)/ctl system files $(PACKAGE) --executable $(EXECUTABLE)

install: package
	install -D -m 755 $(PACKAGE)/ctl $(DESTDIR)$(PREFIX)/bin/ctl
	mkdir -p $(DESTDIR)$(PREFIX)/share
	cp -r $(PACKAGE)/share/. $(DESTDIR)$(PREFIX)/share/
	@echo "installed below $(DESTDIR)$(PREFIX); as root, $(PREFIX)/bin/ctl system install makes it a service"

deb: EXECUTABLE = /usr/bin/ctl
deb: package
	@tests/tools.sh cargo-deb
	mkdir -p target/debian
	cargo deb --no-build --no-strip --output target/debian/
	mv $(PACKAGE)/ctl.debug target/debian/
	@ls -l target/debian

storm:
	@tests/tools.sh cargo cc engine
	STORM=full cargo test --test engine storm -- --nocapture

# As root: it mounts, and makes namespaces. SERVICES=5 is quicker.
boot:
	@tests/tools.sh cargo cc curl docker engine systemd
	cargo build --bin ctl
	@examples/hello/image.sh $(IMAGE):v1 v1
	IMAGE=$(IMAGE) tests/boot.sh

seeds:
	@tests/tools.sh cargo cc
	@from=$(FROM); echo "seeds from $$from"; \
	SIM_FROM=$$from SIM_SEEDS=$(SEEDS) cargo test --test it simulation::random_faults -- --nocapture

bench:
	@tests/tools.sh cargo cc docker engine nginx wrk
	cargo bench --bench figures
