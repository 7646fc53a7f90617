"""What hypothesis draws: formats, kinds of numbers, and plans of one attack."""

from hypothesis import strategies as st

from tests.attack.adversary import FORMATS, KINDS
from tests.attack.draws import Plan
from tests.attack.evaluations import ENVIRONMENTS

FEW = 72
"""Elements of the result, about, in one draw: few, so that what is found is small."""

formats, kinds, seeds = st.sampled_from(FORMATS), st.sampled_from(KINDS), st.integers(0, 2**32)
precisions, movements = st.sampled_from(["tested", "wider"]), st.booleans()
plans = st.builds(
    lambda seed, wider, kinds, environment: Plan((seed,), False, wider, kinds, environment, FEW),
    seeds, st.booleans(), st.tuples(kinds, kinds, kinds, kinds), st.sampled_from(["", *ENVIRONMENTS]),
)  # fmt: skip
"""Operands of a kind each, exact, in any environment of torch."""
