# Thin: every target does the set-up first (seconds once it has been done).
#
#   make demo    render the portraits, train on them for some minutes, translate the holdout, measure, draw
#   make test    format check, clippy with warnings denied, all tests
#   make soak    what takes minutes: damaged recipes, models and checkpoints, each kind read for SOAK_SECONDS (300), and
#                time-outs waited for
#   make bench   our training step beside plain PyTorch's, alternating: ratios of medians

.PHONY: setup setup-tests build demo test soak bench

DEMO ?= demo
SOAK_SECONDS ?= 300

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

soak: setup
	OMP_NUM_THREADS=1 SOAK_SECONDS=$(SOAK_SECONDS) cargo test --test it -- --ignored --nocapture

bench: setup
	cargo bench --bench step
