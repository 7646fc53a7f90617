"""A baseline as text: one line for each tensor, check and side, sorted, so that a review sees what moved.

    torch-mirror baseline 2
    # ...
    environment numpy = 2.4.6
    [two-layer-relu float64]
    seed 0 steps 500 certified apart 3.1e-14 sum nQ2kd8Zp
    torch steps AbCdEf
    W1 torch bits u3Kx91bQ AbCdEf 0x1.8p-3 AbCAbCAbC
    W1 torch local 50000+0 0.31 1.2e-15
    end 32 sum 7dkWq0aB

A run is headed by its name and precision. A line of a check says how many elements it judged + how many were vacuous,
the largest error / radius (``<0.31`` where it is only known to be no larger), and the resolution (``-`` where nothing
can be told); then, where there is one, the doubt. A line of bits, and one of steps, has what prints.py says. Nothing in
it depends on time or on the order in which the runs were asked for. A name's blanks, %, #, [ and what is not ASCII are
written as in an address (%20), and so is half a surrogate pair.

Each run has a sum over its lines, and the last line has one over the environment and says how many runs there are. So
a line that was lost, doubled or changed is told from none, and two branches that changed different runs still merge.
"""

import math
import re
from collections.abc import Callable, Iterable
from itertools import pairwise, takewhile
from typing import Any, NoReturn, TypeAlias, cast, get_args
from urllib.parse import quote, unquote

from reference.errors import InputError
from torch_mirror.judge.findings import Check, Doubt, Side, Sign
from torch_mirror.judge.verdict import Verdict
from torch_mirror.reports.gate.claim import DIGITS, FACTOR, Baseline, Claim, Figure
from torch_mirror.reports.gate.digits import digest
from torch_mirror.reports.gate.prints import Print, Timeline

SCHEMA = 2
"""The form that is written, and that is read: form 1 was in no release."""

HEAD = "torch-mirror baseline"
SAYS = "# Written by torch-mirror gate --update; what the lines say is in docs/gate.md. Do not edit by hand."
SUM = 8
"""Digits of a sum: that of other lines is the same once in 2^48."""
PLAIN = "!\"$&'()*+,-./:;<=>?@\\]^_`{|}~"
"""What a name has as it is, beside letters and digits: "[" begins a run, and "#" what is not read."""


def written(baseline: Baseline) -> str:
    """The text, which ends with a newline; runs by name and precision, lines by tensor, side and check."""
    claims = sorted(baseline.claims, key=lambda c: c.key)
    surroundings = [f"environment {_words(k)} = {_words(v)}" for k, v in sorted(baseline.environment.items())]
    runs = [line for c in claims for line in _claim(c)]
    lines = [f"{HEAD} {SCHEMA}", SAYS, *surroundings, *runs, f"end {len(claims)} sum {_sum(surroundings)}"]
    return "\n".join(lines) + "\n"


def read(text: str) -> Baseline:
    """The baseline that ``written`` wrote.

    Raises InputError, naming the line, where it is none, is of a newer form, was cut, or was merged half.
    """
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line and not line.startswith("#")]
    head = lines[0][1] if lines else ""
    found = re.fullmatch(rf"{HEAD} ([0-9]{{1,9}})", head)
    if found is None:
        raise InputError("baseline", f"a file that begins with '{HEAD} {SCHEMA}'", repr(head[:60]))
    schema = int(found[1])
    if schema not in READERS:
        way_out = "a newer torch-mirror reads it" if schema > SCHEMA else "delete it, and --update writes it anew"
        raise InputError("baseline", f"the form {SCHEMA}", f"{schema}: {way_out}")
    return READERS[schema](lines[1:])


# --- writing --------------------------------------------------------------------------------------


def _claim(c: Claim) -> list[str]:
    head = f"[{_name(c.name)} {_name(c.dtype)}]"
    second = f"seed {_optional(c.seed)} steps {c.steps} {c.verdict} apart {_number(c.distance)}"
    lines = [(f.tensor, f.side, _figure(f)) for f in c.figures]
    lines += [(p.tensor, p.side, _print(p)) for p in c.prints]
    told = [*(f"{side} steps {chain}" for side, chain in sorted(c.timelines)),
            *(f"{_name(tensor)} {side} {line}" for tensor, side, line in sorted(lines))]  # fmt: skip
    return [head, f"{second} sum {_sum([head, second, *told])}", *told]


def _sum(lines: Iterable[str]) -> str:
    return digest("\n".join(lines).encode(), SUM)


def _figure(f: Figure) -> str:
    check = f.check.replace(" ", "-")
    doubt = "" if f.doubt is None else f" {f.doubt.sign} {f.doubt.figure:.{FACTOR}g} {_number(f.doubt.probability)}"
    headroom = f"{'<' if f.bound else ''}{_number(f.headroom)}"
    return f"{check} {f.judged}+{f.vacuous} {headroom} {_number(f.resolution)}{doubt}"


def _print(p: Print) -> str:
    return f"bits {p.whole} {p.chain} {p.value} {p.sample or '-'}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.{DIGITS}g}"


def _optional(value: int | None) -> str:
    return "-" if value is None else str(value)


def _name(name: str) -> str:
    return quote(name, safe=PLAIN, errors="surrogatepass") or "%"  # which no other name becomes


def _words(text: str) -> str:
    """The same, with blanks between words; an equality sign ends a name."""
    return " ".join(quote(word, safe=PLAIN.replace("=", ""), errors="surrogatepass") for word in text.split(" ")) or "%"


# --- reading --------------------------------------------------------------------------------------


_Lines: TypeAlias = list[tuple[int, str]]
_Refuse: TypeAlias = Callable[[str], NoReturn]


def _read_2(lines: _Lines) -> Baseline:
    surroundings = list(takewhile(lambda line: line[1].startswith("environment "), lines))
    heads = [i for i, (_, line) in enumerate(lines) if line.startswith("[")]
    number, end = lines[-1] if lines else (0, "")
    if not end.startswith("end "):
        raise InputError("baseline", "a last line with the number of runs", "none: the file was cut")
    if (heads or [len(lines) - 1])[0] != len(surroundings):
        _refusal(*lines[len(surroundings)])("the environment, and behind it the runs")
    counted, _, told = end.partition(" sum ")
    if counted != f"end {len(heads)}":
        _refusal(number, end)(f"an end of {len(heads)} runs")
    environment = dict(_read_environment(*line) for line in surroundings)
    if len({lines[i][1] for i in heads}) < len(heads) or len(environment) < len(surroundings):
        raise InputError("baseline", "each run and each part of the environment once", "one twice")
    claims = tuple(_read_claim(lines[i:j]) for i, j in pairwise([*heads, len(lines) - 1]))
    _check_sum(told, [line for _, line in surroundings], _refusal(number, end))
    return Baseline(environment, claims)


READERS: dict[int, Callable[[_Lines], Baseline]] = {SCHEMA: _read_2}
"""A reader for each form that is read."""


def _check_sum(told: str, lines: Iterable[str], refuse: _Refuse) -> None:
    if told != _sum(lines):
        refuse("the sum of its lines, as --update wrote them: one was lost, doubled or changed; take the file from Git")


def _refusal(number: int, line: str) -> _Refuse:
    def refuse(expected: str) -> NoReturn:
        raise InputError(f"baseline, line {number}", expected, repr(line if len(line) <= 60 else f"{line[:57]}..."))

    return refuse


def _read_environment(number: int, line: str) -> tuple[str, str]:
    found = re.fullmatch("environment (.+?) = (.+)", line)
    if found is None:
        _refusal(number, line)("environment NAME = WHAT")
    return _named(found[1]), _named(found[2])


def _read_claim(lines: _Lines) -> Claim:
    """A run, from the line of its name on."""
    head, second, *rest = lines if len(lines) > 1 else [*lines, (lines[0][0], "")]
    named = re.fullmatch(r"\[(\S+) (\S+)\]", head[1])
    if named is None:
        _refusal(*head)("a run's name and precision")
    numbers = r"seed (-|[0-9]{1,999}) steps ([0-9]{1,18}) ([a-z]+) apart (\S+) sum (\S+)"
    told = re.fullmatch(numbers, second[1])
    if told is None or told[3] not in get_args(Verdict):
        _refusal(*second)("the seed, steps, verdict, distance and sum of the run")
    distance = None if told[4] == "-" else _float(told[4], _refusal(*second))
    figures, prints, timelines = [], [], []
    for number, line in rest:
        words, refuse = line.split(" "), _refusal(number, line)
        if len(words) == 3 and words[1] == "steps":
            timelines.append(_read_timeline(words, refuse))
        elif words[2:3] == ["bits"]:
            prints.append(_read_print(words, refuse))
        else:
            figures.append(_read_figure(words, refuse))
    if len({f.place for f in figures}) < len(figures) or len({p[:2] for p in prints}) < len(prints):
        raise InputError(f"baseline, {head[1]}", "each tensor, side and check once", "one twice")
    summed = [head[1], second[1].removesuffix(f" sum {told[5]}"), *(line for _, line in rest)]
    _check_sum(told[5], summed, _refusal(*second))
    seed = None if told[1] == "-" else int(told[1])
    key = _named(named[1]), _named(named[2])
    run = Claim(*key, seed, int(told[2]), cast("Verdict", told[3]), distance)
    return run._replace(figures=tuple(figures), prints=tuple(prints), timelines=tuple(timelines))


def _read_figure(words: list[str], refuse: _Refuse) -> Figure:
    if len(words) not in {6, 9}:
        refuse("tensor, side, check, judged+vacuous, headroom and resolution")
    tensor, side, hyphened, counts, headroom, resolution, *doubt = words
    check = hyphened.replace("-", " ")
    found = re.fullmatch(r"([0-9]{1,18})\+([0-9]{1,18})", counts)
    if side not in get_args(Side) or check not in get_args(Check) or found is None:
        refuse("a known side and check, and two counts")
    if "nan" in {headroom.removeprefix("<"), resolution}:
        refuse("a headroom and a resolution that are numbers: with nan nothing would ever fail")
    return Figure(
        _named(tensor), cast("Side", side), cast("Check", check), int(found[1]), int(found[2]),
        _float(headroom.removeprefix("<"), refuse), headroom.startswith("<"),
        None if resolution == "-" else _float(resolution, refuse), _doubt(doubt, refuse),
    )  # fmt: skip


def _doubt(words: list[str], refuse: _Refuse) -> Doubt | None:
    if not words:
        return None
    if words[0] not in get_args(Sign):
        refuse(f"a doubt by one of {', '.join(get_args(Sign))}")
    return Doubt(cast("Any", words[0]), _float(words[1], refuse), _float(words[2], refuse))


def _read_timeline(words: list[str], refuse: _Refuse) -> Timeline:
    if words[0] not in get_args(Side) or not re.fullmatch(r"[A-Za-z0-9_-]+", words[2]):
        refuse("side, 'steps' and a hash")
    return Timeline(cast("Side", words[0]), words[2])


def _read_print(words: list[str], refuse: _Refuse) -> Print:
    known = len(words) == 7 and words[1] in get_args(Side)
    if not known or not all(re.fullmatch(r"[A-Za-z0-9_-]+", word) for word in (*words[3:5], words[6])):
        refuse("tensor, side, 'bits', two hashes, a value and last bits")
    tensor, side, _, whole, chain, value, sample = words
    if value != "none" and re.fullmatch(r"-?(0x[01](\.[0-9a-f]+)?p[+-][0-9]+|[0-9]+|inf)|nan", value) is None:
        refuse("a number as float.hex writes it")
    return Print(_named(tensor), cast("Side", side), whole, chain, value, "" if sample == "-" else sample)


def _float(text: str, refuse: _Refuse) -> float:
    try:
        value = float(text)
    except ValueError:
        refuse(f"a number in the place of {text[:20]!r}")
    if not math.isfinite(value) and text not in {"inf", "-inf", "nan"}:
        refuse("a number that a float holds")
    return value


def _named(text: str) -> str:
    try:
        return "" if text == "%" else unquote(text, errors="surrogatepass") if text.isascii() else text
    except UnicodeDecodeError:  # which nobody wrote: the sum of its lines says that they are others
        return text
