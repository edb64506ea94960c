# shallower: make pre-trained transformers shallower, with evidence.
#
#   snakemake --cores all                                        the study in config.yaml
#   snakemake --cores all --configfile studies/glue-minilm.yaml  another study
#
# The rules read as the pipeline does: download, tokenize, baseline, drop, refine, evaluate, analyse, deliver, aggregate, report, record;
# gradual has the other ways to drop and train, reproduce the paper's tables and figures, oracle how strategies are judged, partial
# what is shown after failures.
include: "workflow/rules/study_file.smk"


# A study is complete by itself: config.yaml must not leak into another one.
if not (is_module(workflow) or config_files(workflow)):

    configfile: "config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/parts.smk"
include: "workflow/rules/variants.smk"
include: "workflow/rules/resources.smk"
include: "workflow/rules/download.smk"
include: "workflow/rules/tokenize.smk"
include: "workflow/rules/baseline.smk"
include: "workflow/rules/drop.smk"
include: "workflow/rules/refine.smk"
include: "workflow/rules/gradual.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/analyse.smk"
include: "workflow/rules/deliver.smk"
include: "workflow/rules/aggregate.smk"
include: "workflow/rules/reproduce.smk"
include: "workflow/rules/judged.smk"
include: "workflow/rules/oracle.smk"
include: "workflow/rules/targets.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/record.smk"
include: "workflow/rules/partial.smk"


report: "workflow/report/workflow.rst"


rule all:
    default_target: True
    input:
        answers(),
        reproduction(),
        judged(),
        f"{STUDY_FOLDER}/report.html",
        [] if IS_PARTIAL else record(),


from shallower.core.parsed_code import keep_parsed
from shallower.core.signals import note_interrupts, pass_on_interrupts
from shallower.planning.session import SessionRecord
from snakemake_adapter import asked_for, files_to_make, is_dry_run, lift_job_rate_limit, note_failures, runs_locally

SESSION = SessionRecord(study.name)

# The next start need not parse the library.
keep_parsed()

if is_dry_run(workflow):
    print(plan(), file=sys.stderr)


onstart:
    print(plan())
    if not IS_PARTIAL:
        SESSION.begin(next(iter(log), ""), *files_to_make(workflow))
        note_failures(workflow, SESSION.add_failure)
    if runs_locally(workflow):
        lift_job_rate_limit(workflow)
        pass_on_interrupts()
        serve_steps()
    else:
        note_interrupts()


onerror:
    try:
        show_what_there_is()
    finally:
        SESSION.end()


onsuccess:
    SESSION.end()
    made = asked_for(workflow) or [STUDY_FOLDER, f"  report   {STUDY_FOLDER}/report.html"]
    print(f"\n{'Incomplete' if IS_PARTIAL else 'Done'}:", "\n".join(made))
