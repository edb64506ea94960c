"""What steps compute with does not depend on how many cores the machine offers."""

import re

ORIGINS = ["pretrained", "finetuned", "finetuned-frozen", "gradual"]
# Scripts that compute with torch.
COMPUTING = {"compare_states", "finetune", "measure_cost", "predict", "probe_layers", "reload_models", "score_layers"}


def every_rule(study):
    study["compute"] = {"threads": 2}
    study["reproduction"] = True
    study["models"][0]["counterpart"] = "BERT"
    study["tasks"][0]["counterpart"] = "SST-2"
    study["origins"] = [{"name": name} for name in ORIGINS]


def test_fewer_cores_than_threads_change_no_command(make_project):
    finished = make_project(every_rule).snakemake("--dry-run", "--printshellcmds", "--quiet", "host", cores=1)
    assert finished.returncode == 0, finished.stdout
    commands = re.findall(r"python [^ ]*scripts/(\w+)\.py (.*)", finished.stdout)
    threads = {
        (script, re.findall(r"--threads (\d+)", command)[0]) for script, command in commands if "--threads" in command
    }
    assert threads == {(script, "2") for script in COMPUTING}
