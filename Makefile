# Thin: every target does the set-up first (seconds once it has been done).
#
#   make demo    render the portraits, train on them for some minutes, translate the holdout, measure, draw
#   make test    format check, clippy with warnings denied, all tests
#   make soak    what takes minutes: damaged recipes, models and checkpoints, each kind read for SOAK_SECONDS (300), and
#                time-outs waited for
#   make bench   `translate bench` on the CPU, and plain PyTorch by turns with it: ratios of medians
#   make bench-bundle   the folder BUNDLE, by which `sh run.sh` measures a machine that has PyTorch and no cargo

.PHONY: setup setup-tests build demo test soak bench bench-bundle

DEMO ?= demo
SOAK_SECONDS ?= 300
BUNDLE ?= bench-bundle

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

# `cyclegan` only translates: a training step of it takes many seconds on a CPU.
bench: export DEVICE = cpu
bench: export MODES = eager,channels-last,bf16,compile
bench: build
	TRAIN="demo cyclegan-small" APPLY=demo RESULTS="$(CURDIR)/target/bench.md" sh benches/run.sh
	TRAIN= APPLY=cyclegan:4 FILES=4 RESULTS="$(CURDIR)/target/bench-cyclegan.md" sh benches/run.sh

bench-bundle: build
	sh benches/bundle.sh target/release/translate "$(BUNDLE)"
