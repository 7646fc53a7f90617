"""Text of others as what it is: a name may hold characters that a terminal, a browser or a server obeys.

A newline begins a line that GitHub takes for a command, an escape turns a terminal red, U+202E turns the rest of the
line around (Unicode Technical Report 36, Unicode Security Considerations, section 2.5), and half a surrogate pair
cannot be encoded at all.
"""


def visible(text: str) -> str:
    r"""The text on one line, with each character that does not show as itself written as Python writes it.

    ``\n`` for a newline, ``\x1b`` for an escape, ``\u202e`` for what turns text around, ``\ud800`` for half a surrogate
    pair. What is left is printable (str.isprintable), and so is unchanged by a second call.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def inert(line: str) -> str:
    r"""A line that GitHub's runner prints and does not obey: a colon or a ``#`` is written as ``\x3a`` or ``\x23``.

    The runner obeys what begins with ``::``, behind blanks, and ``##[`` anywhere in a line (actions/runner,
    ActionCommand.cs).
    """
    begin = len(line) - len(line.lstrip())
    if line.startswith("::", begin):
        line = rf"{line[:begin]}\x3a{line[begin + 1:]}"
    return line.replace("##[", r"\x23#[")
