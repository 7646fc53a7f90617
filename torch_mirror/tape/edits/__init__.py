"""Causes by the smallest edit: the right equation of a wrong tensor is a graph, and one change of it explains it."""
