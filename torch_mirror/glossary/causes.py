"""The causes that a report can name. Each has a pattern that finds it in a report's own words; the first one counts.

A cause is an edit of the right equation that gives the numbers that your code gives. So it says what your code does in
the place of what is right.
"""

from torch_mirror.glossary.entry import Entry

CAUSE = Entry(
    "cause", "word",
    "The smallest edit of the right equation that gives your numbers, all of them: 'a factor 1/2 at d(W)' means that "
    "your dW is half of what is right. It is proven, not guessed: with the edit every element is within its radius. "
    "d(W) is the derivative of the loss by W. Paste a cause behind 'torch-mirror explain' to have it explained.",
    ("tie", "no single edit explains it", "proof"),
)  # fmt: skip

ABOUT = (
    Entry(
        "proof", "cause",
        "Behind a cause: with this one edit all elements are within their radius, and how many other edits were tried. "
        "'it alone fits' means that no other edit does; 'nothing simpler fits' that only more complicated ones do.",
        ("cause",), r"\bproof\b|alone fits|nothing simpler",
    ),
    Entry(
        "tie", "cause",
        "Several causes that these numbers cannot tell apart: a factor 5 may be the batch or the hidden layer where "
        "both are 5. check(..., make=) looks at other sizes, and settles it; so do sizes that all differ.",
        ("cause",), r"cannot be told apart",
    ),
    Entry(
        "no single edit explains it", "cause",
        "No edit of the right equation gives your numbers. There may be two mistakes in one line, or one of a kind "
        "that is not in the menu. The lines above still say where the right values end.",
        ("cause",), r"no single edit",
    ),
    Entry(
        "none was found before the time was up", "cause",
        "Causes are looked for two seconds of the processor at most. A smaller batch or network leaves time for more "
        "edits.",
        ("cause",), r"time was up",
    ),
    Entry(
        "not asked for", "cause",
        "check(..., explain=False) looks for no lines and no causes.",
        ("cause",), r"not asked for",
    ),
)  # fmt: skip

FROM_CALL_TO_CALL = (
    Entry(
        "= where += is due", "cause",
        "A gradient is added up over samples, time or uses, and one line puts a new share over what was there. With += "
        "(or -=) in that line your own backward pass gives the right gradients.",
        ("left out", "equal indices"), r"= where \+= or -= is due",
    ),
    Entry(
        "added to at every call", "cause",
        "A gradient is added to what is there, and never set to 0 before. Set it to 0 at the start of the backward "
        "pass.",
        ("the call before",), r"added to at every call",
    ),
    Entry(
        "the call before", "cause",
        "The function returns the gradient of its last call. Return what this call has computed.",
        ("added to at every call",), r"of the call before",
    ),
    Entry(
        "the step before", "cause",
        "A value of the step before stands in the place of this step's, or is added to it: a gradient that was not set "
        "to 0 (zero_grad), or an update that uses old numbers.",
        ("added to at every call",), r"of the step before",
    ),
)  # fmt: skip

OF_UPDATES = (
    Entry(
        "clipped in another way", "cause",
        "Gradients are clipped by the norm of all of them together, and only where it is larger than the largest one "
        "that is allowed. Your steps are made in another way: each tensor by its own norm, by value, always or never.",
        ("left out",), r"\bclipped\b|divided by the norm",
    ),
    Entry(
        "bias correction", "cause",
        "Adam divides m by 1 - beta1^t and v by 1 - beta2^t, where t is 1 at the first step. The correction is left "
        "out, is taken at another t, or has a root too many.",
        ("eps",), r"bias correction|number of the step|the root of the correction",
    ),
    Entry(
        "eps", "cause",
        "eps stands elsewhere than it should. PyTorch's Adam divides by sqrt(v / correction) + eps: outside of the "
        "root, and behind the correction.",
        ("bias correction",), r"inside the root|outside of the root|before the correction",
    ),
    Entry(
        "weight decay", "cause",
        "The decay of the weights is in the wrong place: added to the gradient (Adam) where it should be taken off the "
        "weights apart from it (AdamW), or the other way; without lr; or where there should be none.",
        ("term too many",), r"weight decay|left out of the decay|\* p too many",
    ),
    Entry(
        "momentum", "cause",
        "The buffer of momentum is made or used in another way: PyTorch has v = momentum v + g, then p = p - lr v. "
        "Nesterov's momentum, lr inside the buffer, and a gradient dampened by 1 - momentum are other optimizers.",
        ("settings",), r"Nesterov|lr inside the buffer|dampened|where there should be none",
    ),
    Entry(
        "settings", "cause",
        "A setting of the optimizer has another number, is left out (as if it were 0 or 1), stands in the place of "
        "another one, is swapped with one, or is taken as 1 - itself: beta for 1 - beta.",
        ("momentum",), r"as if it were [01]|\bswapped\b(?! before)|^1 - (.+) for \1|^as if .+ were \S+, not \S+",
    ),
)  # fmt: skip

OF_MASKS = (
    Entry(
        "mask left out", "cause",
        "The derivative of ReLU, (z > 0), or another mask is missing: the gradient flows where it should be stopped. "
        "Multiply by it: dz = da * (z > 0).",
        ("mask", "left out"), r"^mask .* left out",
    ),
    Entry(
        "mask inverted", "cause",
        "The mask lets through what it should stop, and the other way: (z <= 0) for (z > 0).",
        ("mask",), r"mask .* inverted",
    ),
    Entry(
        "mask at equality", "cause",
        "Where both sides of a comparison are equal the mask is 1 and should be 0, or the other way: >= for >, or > "
        "for >=. It shows only at such numbers.",
        ("kink", "mask"), r"where both sides are equal",
    ),
    Entry(
        "mask", "cause",
        "The mask is one of another value than it should be, or one too many: that of a layer above or below, or of "
        "the activation a where z is meant.",
        ("mask left out",), r"\bmask\b|the derivative of ReLU",
    ),
)  # fmt: skip

OF_SHAPES = (
    Entry(
        "flipped kernel", "cause",
        "A convolution's backward pass takes its kernel the wrong way round: W[2 - k] for W[k], or a "
        "correlation that is flipped where the forward pass is not.",
        ("rows in another order",), r"flipped kernel",
    ),
    Entry(
        "equal indices", "cause",
        "An index occurs several times, as a word does in a sentence, and dE[k] += dx adds only one of its shares: "
        "NumPy reads dE[k] once. np.add.at(dE, k, dx) adds each.",
        ("dropped",), r"equal indices",
    ),
    Entry(
        "broadcast", "cause",
        "A column of shape (N, 1) meets a row of shape (N,), and NumPy makes a square of them. Give both one shape: "
        "t[:, None], or y[:, 0].",
        ("axes",), r"of shape \(N,\)",
    ),
    Entry(
        "mean for sum", "cause",
        "A mean stands where the derivative has a sum, or the other way round: db = dz.sum(axis=0), unless the loss "
        "has not been divided yet.",
        ("factor", "axes"), r"mean for sum|mean over all axes",
    ),
    Entry(
        "axes", "cause",
        "A sum runs over other axes than it should. The gradient of a bias sums over the batch, and over nothing else.",
        ("mean for sum", "broadcast"), r"summed over|only the first row",
    ),
    Entry(
        "transposed", "cause",
        "A square matrix is the wrong way round: W for W.T. With layers of different sizes NumPy would have refused "
        "it.",
        ("order of a product",), r"\btransposed\b",
    ),
    Entry(
        "order of a product", "cause",
        "The two factors of a matrix product are swapped, which goes unnoticed where both are square.",
        ("transposed",), r"^(?!.* of another (?:turn|call))[^<>]*@ [^<>]+ for [^<>]+ @",
    ),
    Entry(
        "rows in another order", "cause",
        "Rows or columns are reversed, shifted by one, or permuted: samples that were shuffled apart from their "
        "targets, or units from their weights.",
        ("dropped",), r"reversed along|shifted by|in the order ",
    ),
    Entry(
        "dropped", "cause",
        "A row, a column, a unit or one element is 0 where it should not be: a loop that ends one too early, a slice "
        "such as [:-1], a sample left out.",
        ("axes",), r"\bdropped\b|^element .* of .* is 0",
    ),
    Entry(
        "rounded", "cause",
        "A value was rounded to a narrower format on the way: an array of float32 among float64, a cast, TF32 in "
        "matrix products.",
        ("ulp",), r"rounded to",
    ),
)  # fmt: skip

OF_FORMULAS = (
    Entry(
        "softmax's derivative", "cause",
        "dz = y (g - sum(g y)): each output of a softmax depends on all of its inputs. Its off-diagonal elements, or "
        "all of it, are left out. With cross-entropy behind it the two together are y - t.",
        ("left out",), r"softmax's derivative",
    ),
    Entry(
        "derivative of an activation", "cause",
        "The derivative is that of another function, is taken at another value, or has a slip in it. That of tanh is "
        "1 - a^2, that of the sigmoid a (1 - a), with a the value behind the activation and not z before it.",
        ("mask", "another value"),
        r"the derivative of|taken twice|the square left out|1 - left out|\+ for - in \(1 - .*\^2\)"
        r"|factor \(1 - .*\) left out|(1 - \S+\^2|\S+ \* \(1 - \S+\)) (for|too many)",
    ),
    Entry(
        "sign of a term", "cause",
        "A sum stands for a difference, or the other way round: y + t for y - t.",
        ("factor",), r"[+-] for [+-] in",
    ),
    Entry(
        "computed from another value", "cause",
        "The backward pass computes a value of the forward pass once more, and starts from another one than the "
        "forward pass did: a stage of Runge-Kutta at k2 where it was at k1. All that is made of it is wrong then.",
        ("another value",), r"\bwhere .* is due",
    ),
    Entry(
        "statistics that are given", "cause",
        "The gradient has the terms of a mean and a variance of the batch, as batch norm has in training. Here both "
        "are given, as in evaluation: dz = dz_hat / std.",
        ("term too many",), r"terms of a mean and a variance",
    ),
    Entry(
        "a layer that differs", "cause",
        "Of two forward passes neither is right by itself: the cause says what the other one has in the place of "
        "yours. Another activation, a softmax or a mean over another axis, an eps, a bias, axes that are swapped "
        "before a reshape.",
        ("cause",),
        r"in the place of|over axis \d+, not|for the constant|swapped before|axes as they are|added to \w+$",
    ),
    Entry(
        "twice", "cause",
        "A factor is there twice: it was multiplied in again further on.",
        ("factor",), r"\btwice in\b",
    ),
    Entry(
        "divided, not multiplied", "cause",
        "A value is divided by where it should be multiplied by, or the other way.",
        ("factor",), r"divided by .*, not multiplied|multiplied by .*, not divided",
    ),
    Entry(
        "term too many", "cause",
        "A factor or term is there that the derivative does not have: a penalty of a bias, an activation's derivative "
        "behind a layer that has none.",
        ("left out", "weight decay"), r"too many",
    ),
    Entry(
        "left out", "cause",
        "A factor, a term or a function of the right formula is missing: a penalty's 2 lambda W, the layer above, a "
        "square, an exp.",
        ("factor", "term too many"), r"left out",
    ),
    Entry(
        "factor", "cause",
        "Your value is so many times the right one. 1/2 or 2: the derivative of a square. 1/N, N the batch: a mean "
        "that is divided by twice, or never. -1: a sign. 1/0.25: a number of your forward pass that was forgotten.",
        ("mean for sum", "tie"), r"\ba factor\b",
    ),
    Entry(
        "another value", "cause",
        "Another value of the same shape stands in the place of the right one: z1 for a1, the weights after the update "
        "for those before, the layer above for this one. 'of another turn' is another pass of a loop, 'of another "
        "call' another call of the function.",
        ("derivative of an activation",), r" for ",
    ),
)  # fmt: skip

CAUSES = (*ABOUT, *FROM_CALL_TO_CALL, *OF_UPDATES, *OF_MASKS, *OF_SHAPES, *OF_FORMULAS)
"""In the order in which the patterns are tried: what is special comes before what is general."""
