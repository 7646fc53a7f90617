"""What stands at the head of a report's line, or is the whole of a note. A pattern finds a note in its own words."""

from torch_mirror.glossary.entry import Entry

LINES = (
    Entry(
        "first wrong", "word",
        "The first tensor, in the order of the equations, of which an element is outside of its radius: what comes "
        "behind it may be wrong by it alone. The line below shows the worst element.",
        ("also refuted", "refuted"),
    ),
    Entry(
        "also refuted", "word",
        "What else is outside of its radius. Most often it follows from what is first wrong; what does not is told "
        "when that is mended.",
        ("first wrong",),
    ),
    Entry(
        "error", "word",
        "How far the element is from what its equation gives: in ulp, and as so many times its radius. Above 1 time "
        "rounding does not explain it.",
        ("ulp", "radius"),
    ),
    Entry(
        "coarse", "word",
        "Of a certified run: only a large change of this tensor would have been seen, of more than one part in a "
        "hundred. Nothing is wrong; the radius is so wide that little is proven. Sow what is computed between, or "
        "give the gradients to check, which sees smaller changes.",
        ("resolution", "sow"),
    ),
    Entry(
        "open comparison", "word",
        "A comparison whose two sides rounding may turn either way, such as h == h + b where b is 0. What it masks may "
        "be there or not, so that a gradient behind it could be anything up to twice its size, and nothing is told of "
        "it. Mark an element by its place (argmax), or compare x with x.max(...) of the same x.",
        ("vacuous", "coarse"),
    ),
    Entry(
        "0 but for rounding", "word",
        "All terms of this gradient cancel, as those of a bias before a batch norm do, and what is left is their "
        "rounding. So no factor in it could show; whatever is more than that rounding would have failed. It is known "
        "by your own code: in longdouble it gives another number.",
        ("radius", "vacuous"), r"(is|are) 0 but for rounding",
    ),
    Entry(
        "judged one step at a time", "word",
        "The equation in parentheses does not take several steps at once, with their numbers stacked along an axis in "
        "front. So each step is judged by itself, which takes longer; the verdict is the same. x @ W.mT for x @ W.T, "
        "b[..., None, :] for b, and sum(axis=-2) for sum(axis=0) work for both.",
        ("turn",), r"judged one step at a time",
    ),
    Entry(
        "two sides of a kink meet", "word",
        "At this line a value is exactly at a kink, such as 0 under a ReLU, and your code takes the derivative of one "
        "side for all of them. Either side is right. Which one PyTorch takes is another question, and a run shows it.",
        ("kink",), r"two sides of a kink meet",
    ),
    Entry(
        "looking for it ended in", "word",
        "The side that is wrong, the cause or the formula was looked for, and that ended in an error of Python's, "
        "which is told behind it. The verdict stands: it was there before. Most often code ran on numbers that it does "
        "not expect. Please report an error that comes from torch-mirror itself.",
        ("no ruling", "cause"), r"^looking (for|at) .* ended in\b",
    ),
    Entry(
        "formulas were not judged", "word",
        "A run in float32 is also looked at in float64, and here that cannot be done, for the reason behind 'because'. "
        "The verdict of the run stands; a small slip may hide in float32's radius. A run in float64 shows it.",
        ("formula", "doubt"), r"formulas were not judged",
    ),
)  # fmt: skip
