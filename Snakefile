# shallower: make pre-trained transformers shallower, with evidence.
#
#   snakemake --cores all                                        the study in config.yaml
#   snakemake --cores all --configfile studies/glue-minilm.yaml  another study
#
# The rules read as the pipeline does: download, baseline, drop, refine, evaluate, aggregate, report, record; gradual has the
# other ways to drop and tune, reproduce the paper's tables and figures.
from snakemake.utils import min_version

min_version("9.20")


include: "workflow/rules/study_file.smk"


# A study is complete by itself: config.yaml must not leak into another one.
if not workflow.overwrite_configfiles:

    configfile: "config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/resources.smk"
include: "workflow/rules/download.smk"
include: "workflow/rules/baseline.smk"
include: "workflow/rules/drop.smk"
include: "workflow/rules/refine.smk"
include: "workflow/rules/gradual.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/aggregate.smk"
include: "workflow/rules/reproduce.smk"
include: "workflow/rules/targets.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/record.smk"


report: "workflow/report/workflow.rst"


rule all:
    default_target: True
    input:
        answers(),
        reproduction(),
        f"results/{study.name}/report.html",
        delivered_models(),
        reloaded_models(),
        f"results/{study.name}/provenance.json",
        f"results/{study.name}/SHA256SUMS",


from shallower.core.signals import pass_on_interrupts

if workflow.output_settings.dryrun:
    print(plan(), file=sys.stderr)


onstart:
    print(plan())
    # Snakemake's limit of 100 jobs a second starts one more timer after every job, and each looks for work every second:
    # seconds of computing for each job of a long run. Nothing needs the limit on one machine.
    if workflow.local_exec:
        workflow.scheduler.job_rate_limiter = None
        pass_on_interrupts()


onsuccess:
    print(f"\nDone: results/{study.name}\n  report   results/{study.name}/report.html")
