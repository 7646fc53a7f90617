"""What is found by the name of its file: the class of ``reference/networks/two_layer_relu.py`` is TwoLayerReLU.

A file of reference/networks, reference/losses or reference/optimizers that stands for one thing has a class of the
file's own name, without the underscores and with any capitals. So a table of them needs the names of the files alone,
and nobody has to be imported to be known.
"""

from importlib import import_module


def class_of(package: str, file: str) -> type:
    """The class that is called as its file is. Raises AttributeError where a file has none."""
    module = import_module(f"{package}.{file}")
    for name, value in vars(module).items():
        if isinstance(value, type) and value.__module__ == module.__name__ and _is_called(name, file):
            return value
    raise AttributeError(f"{package}.{file} has no class of its own name, {file.replace('_', '')} with any capitals")


def file_of(package: str, kind: type) -> str:
    """The file of the package that this is the class of; "" for any other class, and for a subclass of one."""
    home, _, file = kind.__module__.rpartition(".")
    return file if home == package and _is_called(kind.__name__, file) else ""


def _is_called(name: str, file: str) -> bool:
    return name.lower() == file.replace("_", "").lower()
