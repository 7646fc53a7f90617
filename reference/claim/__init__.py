"""What a user claims: a training step in their own form, and what it starts from. Each part validates itself.

tree.py names the arrays of whatever parameters are kept in. objective.py has what is descended: a network with a loss,
or a function (p, x, t) -> (loss, gradients). update.py has the optimizer as a user brings it, in place or pure.
batches.py says which samples a step sees. experiment.py puts them together into one run, ensemble.py into many that
differ in their numbers alone. rehearsal.py runs one step on copies before anything is trained, tells by name where the
code falls short, and gives every tensor its slot (slots.py): what it is to the others. From then on nobody looks at
the spelling of a name. Nothing here imports torch, and nothing that was given is written to.
"""
