"""What Sajjad et al. call the models and tasks of their experiments, and how many layers those models have."""

from shallower.models.size import BASE_CONFIG, COUNTERPART_CONFIGS
from shallower.sources.glue import GLUE_TASKS
from shallower.surgery.amounts import COUNT
from shallower.surgery.strategies import STRATEGIES

# Number of layers of each of the paper's models (section 4).
PAPER_MODELS: dict[str, int] = {
    name: (BASE_CONFIG | config)["num_hidden_layers"] for name, config in COUNTERPART_CONFIGS.items()
}
# Its strategies, in the order of Figure 2.
PAPER_STRATEGIES = (
    "top",
    "even-alternate",
    "odd-alternate",
    "symmetric",
    "parameter-aggregation",
    "parameter-variance",
    "contribution",
    "bottom",
)
# Those whose amount is a number of layers. Contribution's is a threshold: the number of layers is an outcome, and
# rarely the same as that of the others.
RANKED_STRATEGIES = tuple(name for name in PAPER_STRATEGIES if STRATEGIES[name].amount is COUNT)
# Its tasks, in the order of its tables. WNLI and CoLA are left out (section 4).
SEVEN = ("SST-2", "MNLI", "QNLI", "QQP", "STS-B", "RTE", "MRPC")
# The "most stable" tasks, which most of its discussion is about (section 6).
FIVE = SEVEN[:5]
# The paper's name of each GLUE task that it uses, likewise.
PAPER_TASKS = {name: paper for paper in SEVEN for name, task in GLUE_TASKS.items() if task.paper_name == paper}
