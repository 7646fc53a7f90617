"""The torch producers of traces: nn.Module, torch's losses and torch.optim, nothing imitated.

session.py says what a torch training loop consists of: the mirror of an experiment, or the module, names, loss,
optimizer or training step that a user brings in its place; places.py where the parameters are in a module, and
remarks.py what is told of it beside the verdict. loop.py trains it step by step and hands out the trace,
vmap.py trains the members of an ensemble at once. recording.py knows what must be copied when, threads.py and
memory.py settle how the process computes. Torch starts from copies of the experiment's arrays and runs free: it is
never set back.
"""
