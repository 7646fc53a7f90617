"""The attack on the radii: every rule of a ball, held against exact arithmetic on numbers that hurt.

A ball promises that the exact result lies within its radius of every admissible evaluation, the centre among them.

- ``operations.OPERATIONS`` is the one table of what is attacked. An ``Operation`` has an equation, which runs on
  balls, arrays and exact numbers, and the other ways to evaluate it. Its rows stand in elementwise, sums, contractions,
  einsums, training, logic, masks, moves, in_place and expressions.
- ``evaluations`` has those other ways: orders of a sum, fused operations, torch, and torch's environments
  (two threads, no oneDNN, subnormal numbers flushed).
- ``strike.strike`` is the one attack: it draws operands as a ``Plan`` says (draws, domains), exact or moved about
  inside their balls (adversary), and counts what lies outside. ``struck`` is the same with operands made by hand.
- ``oracle`` decides what is outside, by Arb; adversary's ``worst`` does so by fractions alone.
- ``holes`` is where a hole is planted in the bound; the test_holes files say which, and that each is found.

Hypothesis strikes every operation in test_operations, the attack in bulk in test_soundness;
``python -m tests.attack.soundness`` is the latter for as long as is asked for.

To attack a new rule, add a row to one of the tables:

    "hypot": Operation((E, E), np.hypot, torch.hypot, exact=lambda x, y: np.sqrt(x * x + y * y)),

The operands' shapes are those of one case, E of a number. The equation takes many cases along a first axis that comes
before them; one that cannot is ``alone``, and gets one case at a time:

    "mean of rows": alone(((3, 4),), lambda x: np.mean(x, axis=0), lambda x: x.mean(0)),

``exact`` is needed where the equation does not run on Arb's numbers: where it chooses, use ``oracle.choose``, or
``fractions=True`` if it has no root and no exponential. ``domain`` keeps operands where the equation is defined. Test
that the new rule is found wanting without its radius: a row in test_holes_propagation.
"""
