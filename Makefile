# make demo    convert a real checkpoint to HDF5 and back, then train, stop, inspect and resume (no Python)
# make test    everything CI runs: lint, Swift tests, and the tests against torch, h5py and numpy
# make bench   speed against cp, torch, safetensors and h5py on the same bytes
# make bench-train   speed and memory of training against torch with as many threads
# make install PREFIX=/usr/local   the commands and their shell completions

SHELL := /bin/bash
PREFIX ?= /usr/local
CKPT := .build/release/ckpt
DEMO := .build/demo
BENCH_ARGS ?=
SWIFT_SOURCES := Sources Tests Benchmarks Package.swift

ifeq ($(shell uname -s),Linux)
  # lld, which Swift's toolchains bring: the program starts in a fifth of the time that one linked by gold takes, and
  # FoundationEssentials links quietly. Asked of swiftc itself, since the command may be a link to a launcher.
  # Not -static-executable, which would start 1.5 ms sooner: its code would lie at fixed addresses, and libhdf5 parses
  # files of strangers.
  RESOURCES = $(shell swiftc -print-target-info 2>/dev/null | sed -n 's/.*"runtimeResourcePath": *"\(.*\)".*/\1/p')
  LINKER = $(if $(or $(wildcard $(RESOURCES)/../../bin/ld.lld),$(shell command -v ld.lld)),-Xswiftc -use-ld=lld)
  BUILD_FLAGS = -c release --static-swift-stdlib $(LINKER)
  PACKAGES := libhdf5-dev libaec-dev zlib1g-dev libdeflate-dev libxxhash-dev libdnnl-dev hdf5-tools
else
  BUILD_FLAGS := -c release
  PACKAGES := hdf5 libdeflate xxhash onednn
endif

.PHONY: build demo test lint format unit peers matrix bench bench-train fixtures golden install setup venv clean
.NOTPARALLEL:

build: setup
	swift build $(BUILD_FLAGS) --product ckpt
	swift build $(BUILD_FLAGS) --product ckpt-train

demo: build
	rm -rf $(DEMO) && mkdir -p $(DEMO)
	$(CKPT) convert fixtures/torch/transformer_adamw.pt $(DEMO)/run.h5
	$(CKPT) inspect $(DEMO)/run.h5
	$(CKPT) verify $(DEMO)/run.h5
	h5ls -r $(DEMO)/run.h5 | head -n 24
	$(CKPT) convert $(DEMO)/run.h5 $(DEMO)/back.pt
	$(CKPT) verify $(DEMO)/back.pt
	$(CKPT) diff $(DEMO)/run.h5 $(DEMO)/back.pt
	$(CKPT) convert $(DEMO)/back.pt $(DEMO)/back.h5
	@for file in run.h5 back.h5; do \
	  echo "$$file  $$($(CKPT) inspect --json $(DEMO)/$$file | grep -o '"content_digest" *: *"[^"]*"')"; done
	$(CKPT) convert $(DEMO)/run.h5 $(DEMO)/run.safetensors
	$(CKPT) convert $(DEMO)/run.safetensors $(DEMO)/run.npz
	$(CKPT) convert $(DEMO)/run.npz $(DEMO)/run.gguf
	$(CKPT) diff $(DEMO)/run.h5 $(DEMO)/run.gguf
	$(CKPT) formats
	$(CKPT) train fixtures/examples/digits-mlp.yaml --out $(DEMO)/whole
	$(CKPT) train fixtures/examples/digits-mlp.yaml --out $(DEMO)/stopped --steps 700
	$(CKPT) inspect $(DEMO)/stopped/step-00000700.h5
	$(CKPT) train --resume $(DEMO)/stopped
	$(CKPT) diff $(DEMO)/whole/step-00001380.h5 $(DEMO)/stopped/step-00001380.h5

test: lint unit build peers

lint:
	swift format lint --strict --recursive $(SWIFT_SOURCES)

format:
	swift format --in-place --recursive $(SWIFT_SOURCES)

unit: setup
	swift test

peers: venv
	CKPT=$(CKPT) .venv/bin/python -m pytest Tests/Peers

matrix: build venv
	CKPT_WRITE_MATRIX=1 CKPT=$(CKPT) .venv/bin/python -m pytest -q Tests/Peers/test_matrix.py

bench: build venv
	swift build $(BUILD_FLAGS) --product ckpt-bench
	.venv/bin/python Benchmarks/run.py $(BENCH_ARGS)

bench-train: venv
	swift build $(BUILD_FLAGS) --product ckpt-train-bench
	.venv/bin/python Benchmarks/train.py $(BENCH_ARGS)

fixtures: venv
	.venv/bin/python fixtures/make_torch_fixtures.py
	.venv/bin/python fixtures/make_hostile.py
	.venv/bin/python fixtures/make_legacy_fixtures.py
	.venv/bin/python fixtures/make_dcp_fixtures.py
	.venv/bin/python fixtures/make_module_fixtures.py
	.venv/bin/python fixtures/make_special_fixtures.py
	.venv/bin/python fixtures/make_data.py
	.venv/bin/python fixtures/make_gguf_fixtures.py
	.venv/bin/python fixtures/make_numpy_fixtures.py
	.venv/bin/python fixtures/make_onnx_fixtures.py
	.venv/bin/python fixtures/make_keras_fixtures.py
	.venv/bin/python fixtures/make_optimizer_fixtures.py
	.venv/bin/python fixtures/make_training_fixtures.py
	.venv/bin/python fixtures/make_training_conv_fixtures.py

# Until the README announces version 1.0 as released, its golden files may be made anew; after that never.
GOLDEN := fixtures/golden/1.0
golden: build
	rm -rf $(GOLDEN) && mkdir -p $(GOLDEN)
	for name in transformer_adamw cnn_adam_amsgrad gan state_dict dtypes quantised sparse odd_names surrogates views \
	    objects optimizer_fsdp_names optimizer_partial_state lightning; do \
	  $(CKPT) convert --quiet fixtures/torch/$$name.pt $(GOLDEN)/$$name.h5 && \
	  echo "$$($(CKPT) inspect --json $(GOLDEN)/$$name.h5 | grep -o 'xxh3-128:[0-9a-f]*' | head -n 1) $$name" >> $(GOLDEN)/digests.txt \
	    || exit 1; done

install: build
	install -d $(DESTDIR)$(PREFIX)/bin
	install -s -m 755 $(CKPT) $(DESTDIR)$(PREFIX)/bin/ckpt
	install -s -m 755 $(CKPT)-train $(DESTDIR)$(PREFIX)/bin/ckpt-train
	install -d $(DESTDIR)$(PREFIX)/share/{bash-completion/completions,zsh/site-functions,fish/vendor_completions.d}
	$(CKPT) --generate-completion-script bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/ckpt
	$(CKPT) --generate-completion-script zsh > $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_ckpt
	$(CKPT) --generate-completion-script fish > $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/ckpt.fish

setup:
	@.ci/setup $(PACKAGES)

venv: setup
	@.ci/venv .venv

clean:
	rm -rf .build .venv
