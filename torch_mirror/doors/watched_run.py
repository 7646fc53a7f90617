"""One judgement of files that are watched: the command, in a process of its own, which notes the files it read.

    python -m torch_mirror.doors.watched_run NOTED ARGUMENT...

NOTED: where the names of the files are written to, with a null character between them.
"""

import sys
from pathlib import Path

from torch_mirror.interrupt import leave_at_once


def main() -> None:
    """Run the command and end the process."""
    leave_at_once()
    from torch_mirror.doors.sources import Sources
    from torch_mirror.ending import finish

    noted, *arguments = sys.argv[1:]
    sources = Sources()
    sys.meta_path.insert(0, sources)

    def judged() -> int:
        from torch_mirror.doors.cli import run

        try:
            return run(arguments)
        finally:
            Path(noted).write_text("\0".join(dict.fromkeys(map(str, sources.seen))), encoding="utf-8")

    finish(judged)


if __name__ == "__main__":
    main()
