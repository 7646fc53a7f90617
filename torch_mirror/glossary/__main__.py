"""``python -m torch_mirror.glossary`` prints docs/glossary.md."""

import sys

from torch_mirror.glossary.find import page

if __name__ == "__main__":
    sys.stdout.write(page().rstrip("\n") + "\n")
