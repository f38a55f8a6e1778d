# Swiftlet's two commands: `make demo` and `make test`. Each does its own set-up.

SWIFT ?= swift
# Tests run optimised: they execute whole language models. Their build has a folder of its own, so
# that `@testable` does not slow the tool people use.
TEST_FLAGS = -c release -Xswiftc -enable-testing --scratch-path .build-test
SWIFTLET = .build/release/swiftlet
VENV = .venv
SUDO = $(shell [ "$$(id -u)" = 0 ] || echo sudo)
# What the build needs: FlatBuffers' headers. Header files alone, so looked for by name.
FLATBUFFERS = /usr/include/flatbuffers/flatbuffers.h
# What the tests run beside our own code: the Arm C compiler, and QEMU's Cortex-M55.
PACKAGES = libflatbuffers-dev gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm

.PHONY: all build demo test setup lint unit-test c-test oracle-test oracle bench-codec gate baselines bench clean help

all: build

help:
	@echo "make demo    compile the HomeHub example and run it on the simulated NPU"
	@echo "make test    format check, unit tests, C and firmware checks, oracles, the gate"
	@echo "make gate    hold accuracy, memory and cycles against baselines/"
	@echo "make baselines  record them anew, after a change that is meant"
	@echo "make build   the swiftlet tool, release"
	@echo "make oracle  a thousand models of one operator, compiled by Vela, against the interpreters"
	@echo "make bench-codec  rates of the weight codec, milliseconds of an inference"
	@echo "make bench   the figures of Docs/Benchmarks.md"

build: $(FLATBUFFERS)
	$(SWIFT) build -c release --product swiftlet

demo: build
	@Examples/HomeHub/demo.sh $(SWIFTLET)

test: setup lint unit-test c-test oracle-test
	baselines/gate.sh .build-test/release/swiftlet
	@echo "all checks passed"

setup: $(VENV)/.ready
	@missing=""; for p in $(PACKAGES); do dpkg -s $$p >/dev/null 2>&1 || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then \
	  echo "installing$$missing"; \
	  $(SUDO) apt-get update -qq && DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq $$missing >/dev/null; \
	fi

$(FLATBUFFERS):
	$(SUDO) apt-get update -qq
	DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq libflatbuffers-dev >/dev/null

$(VENV)/.ready: Tests/Oracles/requirements.txt
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install -q --disable-pip-version-check -r Tests/Oracles/requirements.txt
	@touch $@

lint:
	$(SWIFT) format lint --strict --recursive --parallel Sources Tests Package.swift

unit-test:
	$(SWIFT) build $(TEST_FLAGS) --build-tests
	$(SWIFT) test $(TEST_FLAGS) --skip-build

c-test: unit-test
	Tests/Firmware/run_all.sh .build-test/release/swiftlet

gate: build
	baselines/gate.sh $(SWIFTLET)

baselines: build
	baselines/gate.sh $(SWIFTLET) --record

# Streams that another compiler made for other people's interpreters to judge: bounded in time here,
# all of it by `make oracle`.
ORACLE = $(VENV)/bin/python Tests/Oracles/simulate_oracle.py .build-test/release/swiftlet
SHARED = $(or $(SWIFTLET_SHARED),../shared)

oracle-test: unit-test $(VENV)/.ready
	@if [ -d $(SHARED)/models/tflite ]; then \
	  $(ORACLE) --models $(SHARED)/models/tflite --configs cpu,ethos-u55-128,ethos-u85-256 --seconds 45; fi
	$(ORACLE) --plain --rounds 1 --seconds 15
	$(ORACLE) --rounds 1 --seconds 30

oracle: unit-test $(VENV)/.ready
	@if [ -d $(SHARED)/models/tflite ]; then \
	  $(ORACLE) --models $(SHARED)/models/tflite \
	    --configs cpu,ethos-u55-32,ethos-u55-64,ethos-u55-128,ethos-u55-256,ethos-u65-256,ethos-u65-512,ethos-u85-128,ethos-u85-256,ethos-u85-512,ethos-u85-1024,ethos-u85-2048; fi
	$(ORACLE) --plain --rounds 20 --seed 91
	$(ORACLE) --rounds 20 --seed 2026

# Rates of the weight codec beside Arm's, milliseconds of an inference.
bench-codec: unit-test $(VENV)/.ready
	Tests/Benchmarks/codec.sh .build-test/release/swiftlet $(VENV)/bin/python

bench: build $(VENV)/.ready
	Tests/Benchmarks/figures.sh $(SWIFTLET) $(VENV)/bin/python
	Tests/Benchmarks/decode.sh $(SWIFTLET) $(VENV)/bin/python full
	Tests/Benchmarks/prefill.sh $(SWIFTLET) $(VENV)/bin/python
	$(VENV)/bin/python Tests/Benchmarks/softmax.py $(SWIFTLET)

clean:
	rm -rf .build .build-test $(VENV) out
