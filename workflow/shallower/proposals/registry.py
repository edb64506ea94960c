"""The kinds of tasks that `make study` can propose, by the name that a study's `target` gives them."""

from shallower.proposals.base import KindProposal
from shallower.proposals.classes import Classification, MultiLabel, Tokens
from shallower.proposals.numbers import Embedding, Ranking, Regression

PROPOSALS: dict[str, KindProposal] = {
    kind.name: kind for kind in (Classification(), MultiLabel(), Tokens(), Regression(), Embedding(), Ranking())
}
