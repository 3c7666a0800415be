# Thin: every target does the set-up first (seconds once it has been done).
#
#   make demo    render the portraits, train on them for some minutes, translate the holdout, measure, draw
#   make test    format check, clippy with warnings denied, all tests
#   make bench   our training step beside plain PyTorch's, alternating: ratios of medians

.PHONY: setup setup-tests build demo test bench

DEMO ?= demo

setup:
	@sh setup.sh

setup-tests:
	@sh setup.sh tests

build: setup
	cargo build --release

demo: build
	sh demo.sh "$(DEMO)"

# One core a test, as tests run side by side.
test: setup-tests
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	OMP_NUM_THREADS=1 cargo test

bench: setup
	cargo bench --bench step
