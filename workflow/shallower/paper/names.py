"""What Sajjad et al. call the models and tasks of their experiments, and how many layers those models have."""

from shallower.sources.glue import GLUE_TASKS

# Number of layers of each of the paper's models (section 4).
PAPER_MODELS = {"BERT": 12, "RoBERTa": 12, "XLNet": 12, "ALBERT": 12, "DistilBERT": 6, "DistilRoBERTa": 6}
# Its tasks, in the order of its tables. WNLI and CoLA are left out (section 4).
SEVEN = ("SST-2", "MNLI", "QNLI", "QQP", "STS-B", "RTE", "MRPC")
# The "most stable" tasks, which most of its discussion is about (section 6).
FIVE = SEVEN[:5]
# The paper's name of each GLUE task that it uses, likewise.
PAPER_TASKS = {name: paper for paper in SEVEN for name, task in GLUE_TASKS.items() if task.paper_name == paper}
