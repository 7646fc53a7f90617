"""The words that explain the others."""

from torch_mirror.glossary.entry import Entry

TERMS = (
    Entry(
        "ball", "word",
        "A number with a radius. The exact result lies no farther from the number than the radius says. Your equations "
        "run on balls as they run on NumPy arrays, and the radii grow with every operation that rounds.",
        ("radius",),
    ),
    Entry(
        "radius", "word",
        "The largest error that rounding can have made in a number. It is derived from the operations that were done, "
        "and nobody chooses it: it is what rtol and atol stand for elsewhere. A value outside of its radius is wrong. "
        "A radius of 0 means that nothing was rounded; then only an equal number will do.",
        ("ball", "headroom", "resolution"),
    ),
    Entry(
        "ulp", "word",
        "Unit in the last place: the distance from a number to the next one of its format. In float64 an ulp of 1.0 is "
        "2.2e-16, in float32 it is 1.2e-7. One rounding is off by half an ulp at most.",
        ("radius",),
    ),
    Entry(
        "headroom", "word",
        "How much of its radius an error uses: 'worst 0.3 of its radius' is 0.3. Up to 1 rounding explains the error; "
        "above 1 it does not, and the value is wrong. Where one operation was done the radius is often used up, so "
        "that 0.9 is no cause for alarm.",
        ("radius",),
    ),
    Entry(
        "resolution", "word",
        "The smallest relative change of a whole tensor that would have been seen: 'a change of 2e-15 would have been "
        "seen'. A mistake that is smaller may be there. Where it is coarse it is told: by check in the first line, "
        "above one part in a million; by verify in a line of its own, above one in a hundred.",
        ("radius", "vacuous"),
    ),
    Entry(
        "doubt", "word",
        "What speaks against a tensor that is within its radius. A radius allows for the worst case, in which all "
        "roundings add up. Roundings that are independent hardly do that: their chance is below one in a million for "
        "the whole run. A factor of 1.000001 or a lost sample looks like that. A doubt refutes nothing by itself; "
        "--strict lets it fail.",
        ("doubted", "radius"),
    ),
    Entry(
        "formula", "word",
        "Of a run in float32: the operations of torch's last step, noted while they run, are done once more in "
        "float64, on the same numbers, and each value and gradient is held against its equation. So a row left out of "
        "a long sum shows, which float32's radius hides. It is a doubt, and refutes nothing: a constant may have been "
        "rounded more often than it knows. Where it cannot tell, a note says why.",
        ("doubt", "local"), r"^its formula",
    ),
    Entry(
        "sow", "word",
        "To tell a value its name: z = sow('z', x @ W). Then the equation of z is judged by itself, and the first "
        "wrong tensor is the one whose line is wrong.",
        ("trace", "local"),
    ),
    Entry(
        "trace", "word",
        "A training run as named tensors, stacked over its steps: the parameters and the optimizer's state before the "
        "first step and after each, and the values, gradients and loss of every step. It can come from any program. "
        "torch-mirror record writes one, torch-mirror certify judges one.",
        ("sow", "certified"),
    ),
    Entry(
        "baseline", "word",
        "A file that torch-mirror gate --update writes and torch-mirror gate holds a later judgement against: the "
        "verdict of each run, and of each tensor the headroom, the resolution, the doubts and the fingerprint.",
        ("fingerprint", "environment", "headroom", "resolution"),
    ),
    Entry(
        "fingerprint", "word",
        "A short hash of all bits of a tensor at all steps, with a few of its numbers in full. Where two fingerprints "
        "are equal, so is every bit. Where they are not, the tensor may be as right as before: a baseline tells it, "
        "and lets it pass.",
        ("baseline", "environment", "ulp"),
    ),
    Entry(
        "environment", "word",
        "What the bits of a right result hang on: the processor, the versions of Python, NumPy, torch and their BLAS, "
        "and the number of threads. In another environment other bits are as right, so the gate does not compare them.",
        ("baseline", "fingerprint"),
    ),
    Entry(
        "tape", "word",
        "What remembers each operation of your forward pass, its operands and its line. A sweep back over it gives the "
        "derivative of your own loss, with a radius. Neither your backward pass nor autograd has a part in it.",
        ("ball", "derivative"),
    ),
    Entry(
        "derivative", "word",
        "What a gradient should be: the derivative of your own forward pass and loss, at the numbers that you gave. It "
        "is computed from the forward pass alone, by the tape, or by difference quotients where the code cannot be "
        "followed.",
        ("tape", "difference quotient"),
    ),
    Entry(
        "difference quotient", "word",
        "(loss(p + h) - loss(p - h)) / 2h, which is about the derivative. It is off by more than rounding, and nobody "
        "knows by how much. So it proves nothing: the best verdict that rests on it is consistent.",
        ("consistent", "derivative"),
    ),
    Entry(
        "kink", "word",
        "A point where a function has no single derivative: 0 of a ReLU or of abs, equal numbers under a maximum. The "
        "derivatives of both sides are right there, as long as one line of code takes the same side everywhere. Other "
        "numbers, drawn at random, hit no kink.",
        ("undecided", "no derivative exists there"),
    ),
    Entry(
        "surrogate", "word",
        "A gradient that is not meant to be the derivative: a straight-through estimator, a gradient that is stopped "
        "or reversed. torch_mirror.surrogate(value, backward) in the forward pass says so; what is not declared is "
        "refuted.",
        ("derivative",),
    ),
    Entry(
        "reference", "word",
        "Your network by hand in NumPy: forward pass, backward pass and update. Its equations are what a run is judged "
        "by.",
        ("mirror", "arbiter"),
    ),
    Entry(
        "mirror", "word",
        "The same network in PyTorch. It runs freely from the same start, and is never set back to NumPy's numbers.",
        ("reference",),
    ),
    Entry(
        "arbiter", "word",
        "Who says which side is wrong. It evaluates the refuted equation in exact arithmetic on the run's own numbers, "
        "and takes the derivative of the reference's forward pass, in which neither the backward pass by hand nor "
        "autograd has a part.",
        ("reference", "mirror", "no ruling"),
    ),
    Entry(
        "another form", "word",
        "The same formula, written otherwise: a + 1 for exp(z), where a = exp(z) - 1. It rounds otherwise. What is "
        "right up to the rounding of another form is certified, and a note says how far off it is.",
        ("radius",),
    ),
    Entry(
        "free runs", "word",
        "Both sides train from the same start, and neither is set back to the other. 'free runs end 2e-14 apart' is "
        "the Euclidean distance of their parameters after the last step. It is a figure and no gate: the trajectory "
        "check judges it.",
        ("trajectory",),
    ),
    Entry(
        "numpy", "word",
        "Behind a tensor: the value in NumPy's own run is outside of what its equation gives, evaluated once more.",
        ("torch", "both"),
    ),
    Entry(
        "torch", "word",
        "Behind a tensor: the value in torch's run is outside of what the reference's equation gives for the numbers "
        "of that run. Either of the two may be wrong; the arbiter says which.",
        ("numpy", "both", "arbiter"),
    ),
    Entry(
        "both", "word",
        "Behind a tensor: the values of the two runs were compared with each other.",
        ("torch", "numpy", "end to end"),
    ),
    Entry(
        "unjudged", "word",
        "Elements whose radius hides too much for a verdict on them. They are counted, and never count as right.",
        ("vacuous", "resolution"),
    ),
    Entry(
        "right values end at", "word",
        "The last line of the backward pass whose value is a derivative of the loss, or a multiple of one: up to there "
        "all is right. The mistake is between that line and the one that is told as wrong.",
        ("wrong from", "follow from it"),
    ),
    Entry(
        "wrong from", "word",
        "The first line whose value is no derivative of the loss any more, though what it is made of was right.",
        ("right values end at", "cause"),
    ),
    Entry(
        "missing at or behind", "word",
        "The value of this line is right as far as it goes, and no gradient yet: an operation is never applied to it, "
        "or a term is never added. A step that is missing has no line: it belongs there, or behind, up to the lines "
        "that are told with it. At or before: the value is called after what it is, so its own line is right.",
        ("computed nowhere", "wrong from"),
    ),
    Entry(
        "computed nowhere", "word",
        "A derivative that the chain rule asks for at this place is the value of no line of yours: a step back through "
        "some operation is missing.",
        ("right values end at",),
    ),
    Entry(
        "follow from it", "word",
        "Gradients that are wrong because they are made of a wrong value, and right but for that: mend the mistake and "
        "they are right.",
        ("wrong from",),
    ),
    Entry(
        "turn", "word",
        "One pass of a loop, or one call of a function that is called several times: the same line has another value "
        "in each.",
    ),
)  # fmt: skip
