"""Environment variables by which the workflow hands settings to its steps that no result depends on.

They are not command-line options, since a changed command would run steps again.
"""

# The process that waits for a step: Snakemake's job.
STARTED_BY = "STARTED_BY"
# How many steps may share a GPU, and the folder of the locks that keep further ones waiting.
RUNS_PER_GPU = "RUNS_PER_GPU"
GPU_LOCKS = "GPU_LOCKS"
# How often a training writes a checkpoint.
CHECKPOINT_SECONDS = "CHECKPOINT_SECONDS"
# What HF_HUB_OFFLINE was before the workflow switched the hub off; downloads alone read it.
HUB_OFFLINE = "HUB_OFFLINE"
# 1 where models are exported to ONNX, which not all need be able to; downloads refuse those that are not.
ONNX = "SHALLOWER_ONNX"
# transformers' classes of a study's models, with commas between them; downloads refuse models that cannot be of them.
MODEL_CLASSES = "SHALLOWER_MODEL_CLASSES"
# Read by the workflow itself: a file of what failed jobs did not make, so that tables are made of everything else.
UNMADE = "SHALLOWER_UNMADE"
# Address of the process that steps start from (shallower.steps.server). The workflow starts one where this is not set.
STEPS = "SHALLOWER_STEPS"
