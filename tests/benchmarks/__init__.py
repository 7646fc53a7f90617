"""Speed, as ratios of two runs side by side; what is asked stands beside what is measured.

    make bench                      every ratio, and one table of them at the end
    make bench BENCH="-k two-layer" some of them
    make bench BENCH=--whole        also `torch-mirror verify` as a whole, which takes a minute

A benchmark fails when its figure is above what is asked of it. Both runs alternate in one process and
one thread, after a run of each that does not count: the first optimizer and the first use of memory
cost more than a short training run. Each ratio is of two neighbouring runs, and the median of these
counts: where other programs take their share of the machine, two neighbours lose about the same.

The ordinary suite does no timing: there pytest-benchmark is disabled (pyproject.toml), and each
benchmark makes its two runs once, of a few steps, and checks that they are the same run.
"""
