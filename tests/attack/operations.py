"""Every operation that is attacked, by hypothesis, in bulk and with holes in the bound: one table."""

from tests.attack.composed import COMPOSED
from tests.attack.contractions import CONTRACTIONS
from tests.attack.domains import mostly_moderate
from tests.attack.einsums import EINSUMS
from tests.attack.elementwise import ELEMENTWISE
from tests.attack.expressions import OPERANDS, SIDE, drawn, evaluated
from tests.attack.in_place import IN_PLACE
from tests.attack.logic import LOGIC
from tests.attack.masks import MASKS
from tests.attack.moves import MOVES
from tests.attack.operation import Operation
from tests.attack.statistical import STATISTICAL
from tests.attack.stepped import STEPPED
from tests.attack.sums import ALONG_AN_AXIS
from tests.attack.training import TRAINING
from tests.attack.written import WRITTEN

DRAWN = "drawn expression"

OPERATIONS: dict[str, Operation] = {
    **ELEMENTWISE,
    **ALONG_AN_AXIS,
    **CONTRACTIONS,
    **EINSUMS,
    **TRAINING,
    **LOGIC,
    **MASKS,
    **MOVES,
    **IN_PLACE,
    **WRITTEN,
    **STATISTICAL,
    **STEPPED,
    **COMPOSED,
    DRAWN: Operation(((SIDE, SIDE),) * OPERANDS, evaluated("equation"), evaluated("torch"),
                     {"otherwise": evaluated("other")}, drawn, evaluated("exact"), domain=mostly_moderate, share=8),
}  # fmt: skip
