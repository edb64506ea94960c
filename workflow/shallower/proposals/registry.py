"""The kinds of tasks that `make study` can propose, by the name that a study's `target` gives them."""

from shallower.proposals.base import KindProposal
from shallower.proposals.classes import Classes
from shallower.proposals.label_sets import LabelSets
from shallower.proposals.queries import Queries
from shallower.proposals.ratings import Ratings

PROPOSALS: dict[str, KindProposal] = {kind.name: kind for kind in (Classes(), LabelSets(), Ratings(), Queries())}
