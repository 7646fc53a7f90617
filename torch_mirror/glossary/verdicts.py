"""The words that say how something came out: of a whole, of a tensor, of a check, by the arbiter, in a selftest."""

from torch_mirror.glossary.entry import Entry

VERDICTS = (
    Entry(
        "certified", "verdict",
        "Everything that was looked at is within its radius, and the radii are small enough to tell. The exit status "
        "is 0.",
        ("radius", "resolution"),
    ),
    Entry(
        "refuted", "verdict",
        "At least one element is outside of its radius: rounding does not explain it, so something is wrong. The lines "
        "below the verdict say which tensor, and as far as it is known the line, the side and the cause. The exit "
        "status is 1.",
        ("radius", "arbiter", "cause"),
    ),
    Entry(
        "undecided", "verdict",
        "It could not be told whether it is right. A radius is too wide, every element is at a kink, or your own run "
        "gives NaN where the formula does not. The note says which, and what would help. It is no pass: the exit "
        "status is 1.",
        ("radius", "kink", "certified"),
    ),
    Entry(
        "consistent", "verdict",
        "Your code could not be followed, so it was judged by difference quotients at some elements, and nothing "
        "contradicts it. That proves nothing, and so it is no pass. The line that could not be followed is named.",
        ("difference quotient",),
    ),
    Entry(
        "vacuous", "verdict",
        "Something could not have failed: every gradient is 0, no step was taken, a radius is infinite (a number may "
        "overflow), or most radii are larger than the values themselves. So nothing was shown. Take other numbers, "
        "more steps, or a wider dtype.",
        ("radius", "resolution"),
    ),
    Entry(
        "doubted", "verdict",
        "Within all radii, but with a doubt, and --strict was given. Without --strict it is certified, and the doubt "
        "is listed.",
        ("doubt",),
    ),
)  # fmt: skip

TENSORS = (
    Entry(
        "ok", "tensor",
        "No element of this gradient is outside of its radius. In a selftest: the fault was found, and nothing that "
        "was told of it is missing or false.",
        ("headroom", "resolution"),
    ),
    Entry(
        "WRONG", "tensor",
        "At least one element of this gradient is farther from the derivative than both radii allow. In a selftest "
        "'wrong' is a cause that was named and does not hold at other numbers.",
        ("refuted", "derivative"),
    ),
    Entry(
        "none", "tensor",
        "No gradient of this parameter was returned. In a table: there is no figure, as nothing was judged.",
        ("undecided",),
    ),
)  # fmt: skip

CHECKS = (
    Entry(
        "local", "check",
        "One tensor is compared with its equation, evaluated on the operands that the trace itself holds. No error is "
        "carried on from elsewhere: a tensor that fails here is the root of a mistake, and no victim.",
        ("sow", "end to end"),
    ),
    Entry(
        "end to end", "check",
        "The loss and the gradients of the two sides are compared, from equal weights, with nothing between them "
        "known.",
        ("local",),
    ),
    Entry(
        "trajectory", "check",
        "How far two free runs are apart is compared with how far amplified rounding can have driven them.",
        ("free runs",),
    ),
    Entry(
        "start", "check",
        "The data and the first weights are compared with the given ones, bit for bit.",
        ("the run did not start from the given values",),
    ),
    Entry(
        "unbatched", "check",
        "Of an ensemble, which is trained by torch.func.vmap: its first member is trained alone as well, and compared.",
        ("end to end",),
    ),
)  # fmt: skip

ARBITER = (
    Entry(
        "the reference's backward does not belong to its own forward", "arbiter",
        "The gradient by hand in NumPy is not the derivative of the forward pass in NumPy. Mend the backward pass, or "
        "the forward pass if that is the wrong one. torch-mirror check of the same function shows the line.",
        ("reference", "derivative"),
    ),
    Entry(
        "forwards differ", "arbiter",
        "The two sides compute different functions: a value of the forward pass is not what the other side makes of "
        "the same numbers. So their gradients cannot agree.",
        ("reference", "mirror"),
    ),
    Entry(
        "updates differ", "arbiter",
        "From the same weights and gradients the two sides make different weights, or another state of the optimizer. "
        "The update in NumPy is one of your own: exact arithmetic shows that torch does not do what your code says, "
        "and not which of the two is meant. check_step holds your update against a known one, such as torch's.",
        ("reference", "mirror"),
    ),
    Entry(
        "the mirror strays", "arbiter",
        "The reference is right, and torch's side is not: its number is neither what the equation gives nor the "
        "derivative.",
        ("mirror",),
    ),
    Entry(
        "the reference strays", "arbiter",
        "NumPy's own number is not what its equation gives in exact arithmetic; torch's is.",
        ("reference",),
    ),
    Entry("both stray", "arbiter", "Neither side has what exact arithmetic gives.", ("reference", "mirror")),
    Entry(
        "no derivative exists there", "arbiter",
        "The element that was refuted is at a kink, and the two sides take different sides of it. The derivatives from "
        "the left and from the right are shown.",
        ("kink",),
    ),
    Entry(
        "the run did not start from the given values", "arbiter",
        "The weights or the data of the trace are other ones than the experiment's. Nothing that follows says anything "
        "of the equations.",
        ("start",),
    ),
    Entry(
        "exact arithmetic does not confirm it", "arbiter",
        "The element is outside of its radius, and yet exact arithmetic finds both sides where they should be. Please "
        "report it: a radius may be too small.",
        ("radius",),
    ),
    Entry(
        "too large for exact arithmetic", "arbiter",
        "The equation has more operations than are evaluated exactly. A smaller batch or network lets it be ruled on.",
        ("no ruling",),
    ),
    Entry(
        "needs python-flint", "arbiter",
        "There is an exp, log, tanh or sqrt in the equation, and the library that evaluates them exactly is missing: "
        "pip install 'torch-mirror[exact]'.",
        ("arbiter",),
    ),
    Entry(
        "no ruling", "arbiter",
        "It could not be told which side is wrong; the line below says why.",
        ("arbiter",),
    ),
)  # fmt: skip

SELFTEST = (
    Entry(
        "MISSED", "selftest",
        "A fault was planted that changes a number by more than its rounding, and the network was not refuted.",
        ("refuted",),
    ),
    Entry("WHERE?", "selftest", "The fault was refuted, but another tensor or line was told first.", ("MISSED",)),
    Entry("SIDE?", "selftest", "The fault was refuted, but not laid at the side that it was planted on.", ("arbiter",)),
    Entry("NAME?", "selftest", "A cause was named, and it does not hold at other numbers.", ("cause",)),
    Entry(
        "--", "selftest",
        "The fault changes no number of this network by more than its rounding, or has no place in it; or it "
        "changes the forward pass as well, and the gradient is the derivative of that one. It counts neither way.",
        ("MISSED",),
    ),
    Entry("named", "selftest", "The cause that was named holds at other numbers, too.", ("cause",)),
    Entry("not named", "selftest", "The fault was found, and no cause is named.", ("no single edit explains it",)),
    Entry("not asked", "selftest", "No causes of this kind of fault are named, so none was asked for.", ("cause",)),
)  # fmt: skip
