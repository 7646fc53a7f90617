"""The whole catalogue at three seeds and two sizes, as a table: python -m tests.tape.edits.measured."""

import sys

from tests.tape.edits.grading import of_network, of_update, table
from tests.tape.edits.optimizers import HERE
from tests.tape.edits.test_catalogue import APART, EQUAL, NETWORKS


def main() -> None:
    """Print a line for each run, and the sums."""
    updates = [of_update(name, f, 24, seed) for name, w in HERE.items() for f in w.faults for seed in range(3)]
    gradients = [
        of_network(source, fault, sizes, seed, dyadic=False)
        for source, faults in NETWORKS.values() for fault in faults for sizes in (APART, EQUAL) for seed in range(3)
    ]  # fmt: skip
    for runs in (updates, gradients):
        sys.stdout.write(table([row for row in runs if row is not None]) + "\n")


if __name__ == "__main__":
    main()
