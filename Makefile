# Everything a fresh machine with Python >= 3.11 and make needs. No target installs anything outside .venv*.
# pip compiles no bytecode: of each environment a fifth is ever imported, and is compiled then.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
LEGACY := .venv-legacy
LEGACY_STAMP := $(LEGACY)/.installed
OLDEST := .venv-oldest
OLDEST_STAMP := $(OLDEST)/.installed
OLDEST2 := .venv-oldest-qiskit2
OLDEST2_STAMP := $(OLDEST2)/.installed
TOOLS := .venv-tools
TOOLS_STAMP := $(TOOLS)/.installed
# One BLAS thread per process: two contended ones are slower than one.
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1
export MKL_NUM_THREADS := 1
# Where it is set, each of the hundreds of processes that the tests start would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: environments demo findings test test-legacy test-oldest mutants fuzz fuzz-wire laws month blind bringup imports chaos check docs bench peers test-peers test-tools test-vendors test-web clean help

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
	@$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt -e '.[lab,test,check,bench,docs]'
	@touch $@

$(LEGACY_STAMP): pyproject.toml constraints.txt constraints-legacy.txt
	$(need_python)
	@echo "installing into $(LEGACY) (about two minutes, once) ..."
	@$(PYTHON) -m venv $(LEGACY)
	@grep -v '^qiskit==' constraints.txt | cat - constraints-legacy.txt > $(LEGACY)/constraints.txt
	@$(LEGACY)/bin/python -m pip install --quiet --no-compile --disable-pip-version-check -c $(LEGACY)/constraints.txt -e '.[lab,test]'
	@touch $@

$(OLDEST_STAMP): pyproject.toml constraints-oldest.txt
	$(need_python)
	@echo "installing into $(OLDEST) (some minutes, once) ..."
	@$(PYTHON) -m venv $(OLDEST)
	@$(OLDEST)/bin/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints-oldest.txt -e '.[lab,test]'
	@touch $@

$(OLDEST2_STAMP): pyproject.toml constraints-oldest.txt
	$(need_python)
	@echo "installing into $(OLDEST2) (some minutes, once) ..."
	@$(PYTHON) -m venv $(OLDEST2)
	@grep -v '^qiskit==' constraints-oldest.txt > $(OLDEST2)/constraints.txt && echo 'qiskit==2.3' >> $(OLDEST2)/constraints.txt
	@$(OLDEST2)/bin/python -m pip install --quiet --no-compile --disable-pip-version-check -c $(OLDEST2)/constraints.txt -e '.[lab,test]'
	@touch $@

$(TOOLS_STAMP): pyproject.toml constraints-tools.txt
	$(need_python)
	@echo "installing into $(TOOLS) (about two minutes, once) ..."
	@$(PYTHON) -m venv $(TOOLS)
	@$(TOOLS)/bin/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints-tools.txt -e '.[lab]' pytest \
		qiskit-aer qiskit-experiments qiskit-ibm-runtime mthree scikit-learn
	@touch $@

environments: $(STAMP) $(LEGACY_STAMP) ## those of `make test check docs test-legacy`; with -j2 side by side, because an installation waits much

demo: $(STAMP) ## a Bell state through daemon, instruments and digitizer
	@$(BIN)/pulsed demo

# Many tests wait for other processes: three workers keep two processors busy. A file's tests stay together, for its
# fixtures, and files start in the order of their folders, the long ones first.
TEST_WORKERS ?= 3
PARALLEL := -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder
# Random tests take their seed from the tree: what passed here passes there, and the next tree is tried with others.
TREE := $(shell git rev-parse --short=7 HEAD^{tree} 2>/dev/null || echo 1)
SEED ?= $(shell printf '%d' 0x$(TREE))
SEEDED := --hypothesis-seed=$(SEED)
test: $(STAMP) ## all tests, in TEST_WORKERS=3 processes, with random examples by SEED=N; PROFILE=1 says where the processor time goes
	@echo "SEED=$(SEED)"
	@$(BIN)/python -m pulsed.testing.kernels
	@FUZZ_SEED="$${FUZZ_SEED:-$(SEED)}" $(BIN)/python -m pytest -q $(PARALLEL) $(SEEDED) $(if $(PROFILE),-p pulsed.testing.processor_time)

WEB_STAMP := $(VENV)/.web
$(WEB_STAMP): $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt playwright axe-playwright-python
	@touch $@

test-web: $(WEB_STAMP) ## the operators' page in Chromium (apt-get install chromium): every page and button, axe, two widths (SHOTS=folder for pictures)
	@WEB=full $(if $(SHOTS),SHOTS="$(SHOTS)") $(BIN)/python -m pytest -q tests/system/test_web_browser.py

test-legacy: $(LEGACY_STAMP) ## the language, the compiler and the provider with Qiskit 1.4
	@FUZZ_SEED="$${FUZZ_SEED:-$(SEED)}" $(LEGACY)/bin/python -m pytest -q $(PARALLEL) $(SEEDED) -c tests/legacy/pytest.ini --rootdir . tests/legacy tests/unit/pulse tests/unit/compiler tests/unit/provider tests/unit/test_surface.py --ignore tests/unit/pulse/test_pulse_without_qiskit_pulse.py

# What is old deprecates what Python and the others have changed since, and Qiskit 2.3 warns of its own layouts.
OLD := -m pytest -q -W ignore::DeprecationWarning -W "ignore:Trying to add QuantumRegister:UserWarning" -c tests/legacy/pytest.ini --rootdir . --ignore tests/unit/pulse/test_pulse_without_qiskit_pulse.py
test-oldest: $(OLDEST_STAMP) $(OLDEST2_STAMP) ## wire, provider, language and compiler with the oldest versions that pyproject.toml admits, of both generations of Qiskit
	@$(OLDEST)/bin/python $(OLD) tests/unit/wire tests/unit/provider tests/unit/pulse tests/unit/compiler tests/unit/test_surface.py
	@$(OLDEST2)/bin/python $(OLD) tests/unit/wire tests/unit/provider tests/unit/pulse tests/unit/compiler tests/unit/test_surface.py

MUTANTS ?= 40
MUTANTS_SEED ?= 1
mutants: $(STAMP) ## do the tests notice a small change? MUTANTS=40 of drivers, daemon, compiler, by MUTANTS_SEED=1
	@$(BIN)/python tests/mutants/run.py --number $(MUTANTS) --seed $(MUTANTS_SEED)

FUZZ_PROGRAMS ?= 10000
fuzz: $(STAMP) ## random circuits through the whole stack against their exact counts, random schedules against their samples
	@FUZZ_PROGRAMS="$(FUZZ_PROGRAMS)" $(if $(FUZZ_SEED),FUZZ_SEED="$(FUZZ_SEED)") $(BIN)/python -m pytest -q -s tests/system/test_fuzz.py tests/unit/compiler/test_fuzz_schedules.py

TRAFFIC_DAYS ?= 30
TRAFFIC_SEED ?= 1
month: $(STAMP) ## thirty days of made-up traffic through the scheduler: shares, waits, sessions (TRAFFIC_DAYS, TRAFFIC_SEED)
	@TRAFFIC_DAYS="$(TRAFFIC_DAYS)" TRAFFIC_SEED="$(TRAFFIC_SEED)" $(BIN)/python -m pytest -q -s tests/unit/testing/test_traffic.py

LAWS_ROUNDS ?= 10
laws: $(STAMP) ## every property of hypothesis with fresh examples, LAWS_ROUNDS=10 times
	@for round in $$(seq $(LAWS_ROUNDS)); do seed=$$(od -An -N4 -tu4 /dev/urandom | tr -d ' '); echo "round $$round, SEED=$$seed"; \
		$(BIN)/python -m pytest -q $(PARALLEL) -m hypothesis --hypothesis-seed=$$seed tests/unit tests/contract || exit 1; done

VENDOR_PROGRAMS ?= 200
BLIND_SEEDS ?= 2 3 4 6 7 8 9 10
FUZZ_FRAMES ?= 1000000
fuzz-wire: $(STAMP) ## FUZZ_FRAMES=1000000 mutated frames at both sockets of a daemon, before and after the key (six minutes); `make test` has 20,000
	@$(BIN)/python -m pulsed.testing.mutated_frames $(FUZZ_FRAMES) $(SEED)

blind: $(STAMP) ## tune up chips that nobody has seen, with SCPI alone (BLIND_SEEDS="1 2 ...")
	@BLIND_SEEDS="$(BLIND_SEEDS)" $(BIN)/python -m pytest -q -s tests/system/test_blind.py

CHAOS_FAULTS ?= 200
CHAOS_STOPPED ?= 30
chaos: $(STAMP) ## kill and stop processes while jobs are played: CHAOS_FAULTS=200, those stopped for CHAOS_STOPPED=30 s
	@CHAOS_FAULTS="$(CHAOS_FAULTS)" CHAOS_STOPPED="$(CHAOS_STOPPED)" $(if $(CHAOS_SEED),CHAOS_SEED="$(CHAOS_SEED)") $(BIN)/python -m pytest -q -s tests/system/test_chaos.py

BRINGUP_SEEDS ?= 1 2 3 4 5 6 7 8
BRINGUP_QUBITS ?= 5
BRINGUP_KILLS ?= 20
test-vendors: $(STAMP) ## 200 random circuits to the assemblers of makers and to other people's simulators (VENDOR_PROGRAMS=N)
	@$(BIN)/pip install -q --no-deps --upgrade --target build/vendors q1simulator==1.3.4
	@PYTHONPATH=build/vendors VENDOR_PROGRAMS="$(VENDOR_PROGRAMS)" $(BIN)/python -m pytest -q tests/vendors

bringup: $(STAMP) ## bring up chips that nobody has tuned to, with kills (BRINGUP_SEEDS="1 2 ...", about 15 min each)
	@BRINGUP_SEEDS="$(BRINGUP_SEEDS)" BRINGUP_QUBITS="$(BRINGUP_QUBITS)" BRINGUP_KILLS="$(BRINGUP_KILLS)" $(BIN)/python -m pytest -q -s tests/system/test_bringup.py

imports: $(STAMP) ## a platform of qibolab on a chip made of it: every imported value verified, and a Bell state
	@IMPORTS_ALL=1 $(BIN)/python -m pytest -q -s tests/system/test_imports.py

check: $(STAMP) ## ruff, mypy, import contracts, layout, wheel
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest -q tests/unit/test_layout.py
	@rm -rf dist && $(BIN)/python -m build --outdir dist . >/dev/null && $(BIN)/python -m zipfile -l dist/*.whl > dist/contents
	@for file in configs/sim5.toml store/migrations/env.py wire/protocol.py testing/doubles.py; do \
		grep -q pulsed/$$file dist/contents || { echo "the wheel lacks $$file"; exit 1; }; done; echo "wheel: ok"

docs: $(STAMP) ## the pages as a site with a reference of the API and a search, in build/site; a link that leads nowhere is an error
	@$(BIN)/python -m sphinx -q -j 2 -W --keep-going -b html docs build/site && echo "build/site/index.html"

bench: $(STAMP) ## every benchmark, one table
	@$(BIN)/python -m benchmarks

.venv-peers-%/.installed: benchmarks/peers/%.txt
	@echo "installing into .venv-peers-$* (about a minute, once) ..."
	@$(PYTHON) -m venv .venv-peers-$*
	@.venv-peers-$*/bin/python -m pip install --quiet --no-compile --disable-pip-version-check -r $<
	@touch $@

peers: .venv-peers-qiskit14/.installed .venv-peers-laboneq/.installed ## other stacks, for `make bench` to measure beside ours

test-tools: $(TOOLS_STAMP) ## Qiskit Experiments, qiskit-ibm-runtime, mthree and Aer, unchanged, over our backend (some minutes)
	@$(TOOLS)/bin/python -m pytest -q -s -c tests/tools/pytest.ini --rootdir . tests/tools

test-peers: $(STAMP) .venv-peers-laboneq/.installed ## our samples against those of LabOne Q
	@$(BIN)/python -m pytest -q tests/peers

findings: ## what other people's software does, each run in a folder of its own (up to an hour, needs the package index)
	@for script in findings/*.sh; do echo "== $$script"; bash $$script || exit 1; done

clean: ## remove what was built
	rm -rf $(VENV) $(LEGACY) $(OLDEST) $(OLDEST2) $(TOOLS) dist build demo-output .pytest_cache .mypy_cache .ruff_cache
