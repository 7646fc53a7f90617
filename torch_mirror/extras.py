"""What is installed only where it is wanted: the extras of pyproject.toml, and what is said where one is missing.

This imports nothing, because it is what runs where something could not be imported.
"""

EXTRAS = {
    "click": "cli",
    "tqdm": "cli",
    "sklearn": "documents",
    "flint": "exact",
    "joblib": "jobs",
    "distributed": "dask",
    "ray": "ray",
    "jinja2": "report",
    "matplotlib": "plot",
    "PIL": "plot",
}
"""The extra that brings a module, by the module's name."""


def missing(error: ImportError) -> str | None:
    """What to install for a module that is missing; None if no extra brings it: then the installation is broken."""
    extra = EXTRAS.get(error.name or "")
    return extra and f"{error.name}: expected to be installed, got no such module: pip install 'torch-mirror[{extra}]'"
