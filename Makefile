# Everything a fresh machine with Python >= 3.11 and make needs. No target installs anything outside .venv*.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
LEGACY := .venv-legacy
LEGACY_STAMP := $(LEGACY)/.installed
# One BLAS thread per process: two contended ones are slower than one.
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1
export MKL_NUM_THREADS := 1

.PHONY: demo test test-legacy blind bringup check bench peers test-peers clean help

help: ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

define need_python
	@command -v $(PYTHON) >/dev/null || { echo "pulsed needs Python >= 3.11; '$(PYTHON)' is not on this machine."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "pulsed needs Python >= 3.11; '$(PYTHON)' is older. Try: make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "pulsed needs Python's venv module (on Debian: the package python3-venv)."; exit 1; }
endef

$(STAMP): pyproject.toml constraints.txt
	$(need_python)
	@echo "installing into $(VENV) (about two minutes, once) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test,check,bench]'
	@touch $@

$(LEGACY_STAMP): pyproject.toml constraints.txt constraints-legacy.txt
	$(need_python)
	@echo "installing into $(LEGACY) (about two minutes, once) ..."
	@$(PYTHON) -m venv $(LEGACY)
	@grep -v '^qiskit==' constraints.txt | cat - constraints-legacy.txt > $(LEGACY)/constraints.txt
	@$(LEGACY)/bin/python -m pip install --quiet --disable-pip-version-check -c $(LEGACY)/constraints.txt -e '.[test]'
	@touch $@

demo: $(STAMP) ## a Bell state through daemon, instruments and digitizer
	@$(BIN)/pulsed demo

test: $(STAMP) ## all tests
	@$(BIN)/python -m pytest -q

test-legacy: $(LEGACY_STAMP) ## the language, the compiler and the provider with Qiskit 1.4
	@$(LEGACY)/bin/python -m pytest -q -c tests/legacy/pytest.ini --rootdir . tests/legacy tests/unit/pulse tests/unit/compiler tests/unit/provider --ignore tests/unit/pulse/test_pulse_without_qiskit_pulse.py

BLIND_SEEDS ?= 2 3 4 6 7 8 9 10
blind: $(STAMP) ## tune up chips that nobody has seen, with SCPI alone (BLIND_SEEDS="1 2 ...")
	@BLIND_SEEDS="$(BLIND_SEEDS)" $(BIN)/python -m pytest -q -s tests/system/test_blind.py

BRINGUP_SEEDS ?= 1 2 3 4 5 6 7 8
BRINGUP_QUBITS ?= 5
BRINGUP_KILLS ?= 20
bringup: $(STAMP) ## bring up chips that nobody has tuned to, with kills (BRINGUP_SEEDS="1 2 ...", about 15 min each)
	@BRINGUP_SEEDS="$(BRINGUP_SEEDS)" BRINGUP_QUBITS="$(BRINGUP_QUBITS)" BRINGUP_KILLS="$(BRINGUP_KILLS)" $(BIN)/python -m pytest -q -s tests/system/test_bringup.py

check: $(STAMP) ## ruff, mypy, import contracts, wheel
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@rm -rf dist && $(BIN)/python -m build --outdir dist . >/dev/null && $(BIN)/python -m zipfile -l dist/*.whl > dist/contents
	@for file in configs/sim5.toml store/migrations/env.py wire/protocol.py testing/doubles.py; do \
		grep -q pulsed/$$file dist/contents || { echo "the wheel lacks $$file"; exit 1; }; done; echo "wheel: ok"

bench: $(STAMP) ## every benchmark, one table
	@$(BIN)/python -m benchmarks

.venv-peers-%/.installed: benchmarks/peers/%.txt
	@echo "installing into .venv-peers-$* (about a minute, once) ..."
	@$(PYTHON) -m venv .venv-peers-$*
	@.venv-peers-$*/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

peers: .venv-peers-qiskit14/.installed .venv-peers-laboneq/.installed ## other stacks, for `make bench` to measure beside ours

test-peers: $(STAMP) .venv-peers-laboneq/.installed ## our samples against those of LabOne Q
	@$(BIN)/python -m pytest -q tests/peers

clean: ## remove what was built
	rm -rf $(VENV) $(LEGACY) dist build demo-output .pytest_cache .mypy_cache .ruff_cache
