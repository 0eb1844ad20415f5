# Set-up needs Python >= 3.11 alone: the first target that needs the environment makes it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed

ENV ?= HalfCheetah-v4
SEEDS ?= 1
STEPS ?= 1000000
# Left out, a run is written to runs/<env>-<hash of its settings>.
RUN ?=
RUNS ?= $(RUN)
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help install train sweep eval report test test-slow test-versions golden check identity gradient-study gradient-figures check-resume faults conventions bench bench-quick accelerator docs lint format clean

help: ## Show this list.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 20
	@echo
	@echo 'make train ENV=HalfCheetah-v4 SEEDS=4 STEPS=300000 RUN=runs/mine ARGS="--gamma 0.98"'

install: $(INSTALLED) ## Make the virtual environment (other targets do it themselves).

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "jaxsac needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1). Give another: make PYTHON=python3.12 ..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --constraint constraints.txt --editable '.[cli]' --group dev
	@touch $@

train: $(INSTALLED) ## Train: ENV= SEEDS= STEPS= RUN= (run directory) ARGS= (any other option).
	$(BIN)/jaxsac train --env '$(ENV)' --seeds $(SEEDS) --steps $(STEPS) $(if $(RUN),--run-dir '$(RUN)') $(ARGS)

sweep: $(INSTALLED) ## Train a grid: ENV= SEEDS= STEPS= RUN= ARGS="--set actor_lr=1e-4,1e-3 --set gamma=0.9,0.99"
	$(BIN)/jaxsac sweep --env '$(ENV)' --seeds $(SEEDS) --steps $(STEPS) $(if $(RUN),--run-dir '$(RUN)') $(ARGS)

eval: $(INSTALLED) ## Evaluate a run's policies: RUN= (run directory) ARGS=
	$(BIN)/jaxsac eval '$(RUN)' $(ARGS)

report: $(INSTALLED) ## Compare runs: curves, scores, how sure they differ: RUNS="runs/a runs/b" ARGS="--reference"
	$(BIN)/jaxsac report $(RUNS) $(ARGS)

test: $(INSTALLED) ## Run the tests (minutes).
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

test-slow: $(INSTALLED) ## Run the long tests: learning on real environments.
	$(BIN)/python -m pytest -m slow

test-versions: ## Test the oldest and newest versions that are admitted: ARGS=3.13-newest for one.
	$(PYTHON) tests/versions/run.py $(ARGS)

golden: $(INSTALLED) ## Say whether this tree learns the same bits as another revision: BASE=<revision>
	$(BIN)/python tests/golden/compare.py '$(or $(BASE),HEAD)'

check: $(INSTALLED) ## Look for what can go wrong with an environment: ENV=
	$(BIN)/jaxsac check '$(ENV)' $(ARGS)

check-resume: $(INSTALLED) ## Kill a run at random, let it go on, compare: ENV= ARGS="--kills 10"
	$(BIN)/python experiments/faults/check_resume.py --env '$(ENV)' $(ARGS)

faults: $(INSTALLED) ## Kill 200 runs and damage 500 checkpoints, and write down what came of it (half an hour).
	$(BIN)/python experiments/faults/faults.py $(ARGS)

identity: $(INSTALLED) ## Show where the terms of the actor's gradient come from, as one table.
	$(BIN)/python experiments/actor_gradient/identity.py

STUDY := $(BIN)/python experiments/actor_gradient/study.py
gradient-study: $(INSTALLED) ## Train with each estimator of that gradient and measure it, in three environments (four hours).
	$(STUDY) --env Pendulum-v1 --steps 20000 --learning-starts 1000 --every 250
	for env in HalfCheetah-v4 Hopper-v4; do $(STUDY) --env $$env --steps 100000 \
	  --learning-starts 10000 --every 1000 --variants total path samples4 || exit; done

gradient-figures: $(INSTALLED) ## Print that study's tables and draw its figures again from what is stored.
	$(BIN)/python experiments/actor_gradient/figures.py

conventions: $(INSTALLED) ## Prove the presets against the packages of other libraries, each in a venv of its own.
	$(BIN)/python experiments/conventions/conventions.py $(ARGS)

bench: $(INSTALLED) ## Measure the speed beside other libraries (half an hour): ARGS="--only jaxsac sbx"
	$(BIN)/python experiments/performance/bench.py $(ARGS)

accelerator: $(INSTALLED) ## Measure on a GPU or TPU: ARGS=--rehearse for tiny sizes on any machine.
	$(BIN)/python experiments/accelerator/run.py $(ARGS)

bench-quick: $(INSTALLED) ## Say whether a change made updates slower (a minute).
	$(BIN)/python experiments/performance/quick.py $(ARGS)

DOCS := $(VENV)/docs-installed
$(DOCS): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --constraint constraints.txt --editable '.[docs]'
	@touch $@

docs: $(DOCS) ## Build these pages and the public API's as a site: site/index.html
	$(BIN)/python docs/assemble.py .docs
	$(BIN)/zensical build --clean --strict
	@! grep -rlE '<(script|link|img)[^>]+(src|href)="?(https?:)?//' site --include='*.html' \
	  || { echo 'these pages fetch something from a network'; exit 1; }
	@echo 'site/index.html; with search: $(PYTHON) -m http.server --directory site'

lint: $(INSTALLED) ## Check style (ruff) and types (pyright).
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

format: $(INSTALLED) ## Format the code.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove the virtual environments and caches; runs stay.
	rm -rf $(VENV) .bench .docs site .cache .pytest_cache .ruff_cache .hypothesis
