"""torch-mirror selftest and torch-mirror reproduce: faults planted in a network, and a script that shows one."""

from pathlib import Path

import click

from torch_mirror.doors.console import DTYPES, check_paths, errors_without_traceback, say, settle_threads
from torch_mirror.interrupt import raise_as_usual


@click.command()
@click.argument("networks", nargs=-1, metavar="[NAME|FILE:OBJECT]...")
@click.option("--dtype", type=click.Choice([*DTYPES, "both"]), default="both", show_default=True, help="Precision.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), metavar="PATH", help="Write a report in JSON.")
@click.pass_context
def selftest(context: click.Context, /, networks: tuple[str, ...], dtype: str, json_path: Path | None) -> None:
    """Plant faults in a network, and see whether each is found.

    NAME is an experiment (default: mlp-relu). FILE:OBJECT is an object of a Python file: a reference.Experiment, a
    tuple (function, parameters, *data) as torch_mirror.check takes them, or a function that returns one of these. One
    line a fault: a factor, a transposition, a mask, a cast, an optimizer's option, a line of the source. Exit status 0
    if all that change a number are refuted and located, laid at the right side and none is named wrongly; else 1; 2 for
    bad usage or input.
    """
    settle_threads()
    with errors_without_traceback():
        check_paths({"json": json_path})
        subjects = [subject(text) for text in networks or ("mlp-relu",)]
        from torch_mirror import selftest as test
        from torch_mirror.reports import selftest as report

        raise_as_usual()
        dtypes = DTYPES if dtype == "both" else (dtype,)
        tests = [test(*one, dtypes=dtypes, progress=lambda t: say(report.line(t))) for one in subjects]
        for text in report.summary(tests):
            say(text)
        if json_path is not None:
            from reference.files import write_whole

            write_whole("--json", json_path, report.as_json(tests))
    context.exit(0 if all(one.passed for one in tests) else 1)


@click.command()
@click.argument("network", metavar="FILE:OBJECT")
@click.option("-o", "--output", "path", type=click.Path(path_type=Path), metavar="PATH", help="The script's file.")
def reproduce(network: str, path: Path | None) -> None:
    """Make a script of NumPy alone that shows a wrong gradient.

    FILE:OBJECT is an object of a Python file, as for selftest. The script holds the code of the network, the smallest
    sizes and simplest numbers at which the gradient is still wrong, and the derivative; it ends in an AssertionError.
    It is printed, or written to PATH. Exit status 2 where no gradient is wrong.
    """
    with errors_without_traceback():
        what = subject(network)
        from torch_mirror import reproduce as of

        raise_as_usual()
        text = of(*what, path=path)
        if path is None:
            say(text.rstrip())


def subject(text: str) -> "tuple[object, ...]":
    """What is tested: an experiment by its name, or an object of a file. Raises InputError for anything else."""
    from reference import experiments
    from reference.claim.experiment import Experiment
    from reference.errors import InputError

    if ":" not in text:
        return (experiments.load(text),)
    from torch_mirror.doors.objects import load

    found = load(text)
    if isinstance(found, tuple) and len(found) > 1 and callable(found[0]):
        return found
    if not isinstance(found, Experiment):
        expected = "a reference.Experiment, a tuple (function, parameters, *data), or a function that returns one"
        raise InputError(text, expected, type(found).__name__)
    return (found,)
