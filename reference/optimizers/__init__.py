"""Optimizers, one file each: sgd, adam (AdamW too), rmsprop, adagrad; and what goes around them.

An optimizer is a NamedTuple of its options with

    init(p)                                   the state before the first step: trees like p by name, {} if there is none
    step(p, gradients, state, t, sow)         the next p and state, from those before; t counts from 0
    checked(steps)                            the same with plain numbers; an InputError for what torch refuses
    elementwise                               whether each element is updated from its own gradient alone

and nothing else is kept between steps. ``sow`` is told every new parameter as ``W1``, every tensor of the state as
``v.W1``. Around any of them: groups.py gives each group of parameters its own, clipping.py bounds the gradients first.
Shared: parts.py (the gradient that is followed, a running mean), schedule.py (the learning rate of a step, and of steps
that are stacked in front, where t is an array). Torch's own for each stands in ``torch_mirror.optimizers``,
whose row makes a new file known.
"""
