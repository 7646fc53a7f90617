"""Whether the package ``reference``, without which nothing here works, is ours.

Its name is a common one. A folder or file of that name in a user's project comes first on Python's path, and would
make of every import an error that names neither.
"""

import os
import sys

OURS = os.path.join("claim", "experiment.py")  # noqa: PTH118 - pathlib takes longer to load than this to run


class HiddenReferenceError(ImportError):
    """Python finds another ``reference`` than ours."""


def check_reference() -> None:
    """Raise HiddenReferenceError if ``import reference`` would not find the package that belongs to this one.

    Nothing of what is found is run.
    """
    if "reference" in sys.modules:
        spec = getattr(sys.modules["reference"], "__spec__", None)
    else:
        specs = (finder.find_spec("reference", None) for finder in sys.meta_path if hasattr(finder, "find_spec"))
        spec = next((spec for spec in specs if spec is not None), None)
    folders = list(getattr(spec, "submodule_search_locations", None) or ())
    if any(_is_ours(folder) for folder in folders):
        return
    found = getattr(spec, "origin", None) or ", ".join(folders) or "nothing"
    raise HiddenReferenceError(
        f"package reference: expected torch-mirror's own, got {found}, which hides it: "
        "rename that, or start Python in another folder"
    )


def _is_ours(folder: str) -> bool:
    return not os.path.isdir(folder) or os.path.isfile(os.path.join(folder, OURS))  # noqa: PTH112, PTH113, PTH118 - as above; no folder: in an archive
