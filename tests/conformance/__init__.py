"""What every network, loss and optimizer must keep, whichever it is: tables of rows, and checks that take a row.

    networks.py     NETWORKS: a network, and how the data that it takes are drawn
    losses.py       LOSSES: a loss, the outputs and targets that it takes, and targets that it refuses
    optimizers.py   OPTIMIZERS: an optimizer with its options; WRONG: two that differ, and where that shows

The rows follow from the tables of the package: torch_mirror/networks, losses.py and optimizers.py. A new network, loss
or optimizer is one row there. Every check of test_networks.py, test_losses.py and test_optimizers.py then runs on it,
in float64 and float32; a file without a row, and what the row is, is told by test_tables.py.
test_experiments.py takes the set-ups by name: a new one needs no row.

The checks are in the tables CHECKS, and FAULTY has beside each of them something that it must refuse.
The model is scikit-learn's ``parametrize_with_checks`` (documentation of sklearn.utils.estimator_checks).
"""
