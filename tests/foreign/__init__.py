"""Training that was done elsewhere, in C, JavaScript and JAX: its trace comes as a file and is certified."""
