"""What Sajjad et al. call the models and tasks of their experiments, and how many layers those models have."""

# Number of layers of each of the paper's models (section 4).
PAPER_MODELS = {"BERT": 12, "RoBERTa": 12, "XLNet": 12, "ALBERT": 12, "DistilBERT": 6, "DistilRoBERTa": 6}
# The paper's name of each GLUE task that it uses, in the order of its tables. WNLI and CoLA are left out (section 4).
PAPER_TASKS = {
    "sst2": "SST-2",
    "mnli": "MNLI",
    "qnli": "QNLI",
    "qqp": "QQP",
    "stsb": "STS-B",
    "rte": "RTE",
    "mrpc": "MRPC",
}
SEVEN = tuple(PAPER_TASKS.values())
# The "most stable" tasks, which most of its discussion is about (section 6).
FIVE = SEVEN[:5]
