"""Speed, as ratios of two runs side by side; what is asked stands beside what is measured.

    make bench                      every ratio, and one table of them at the end
    make bench BENCH="-k two-layer" some of them
    make bench BENCH=--whole        also `torch-mirror verify` as a whole, which takes a minute

A benchmark fails when its figure is above what is asked of it. Both runs alternate in one process and
one thread, after a run of each that does not count: the first optimizer and the first use of memory
cost more than a short training run. A ratio is that of the fastest run of each, which is what is left
when other programs take their share of the machine.

The ordinary suite does no timing: there pytest-benchmark is disabled (pyproject.toml), and each
benchmark makes its two runs once, of a few steps, and checks that they are the same run.
"""
