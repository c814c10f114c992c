"""Check that the wheel holds everything that `rlm` reads at run time."""

import sys
import zipfile
from pathlib import Path

wheel = Path(sys.argv[1])
here = Path(__file__).resolve().parent.parent
names = set(zipfile.ZipFile(wheel).namelist())
wanted = {
    path.relative_to(here).as_posix()
    for path in (here / "rlm").rglob("*")
    if path.is_file() and "__pycache__" not in path.parts
}
missing = sorted(wanted - names)
foreign = sorted(n for n in names if not n.startswith(("rlm/", "rlm_runtime-")))
if missing or foreign:
    sys.exit(f"{wheel.name}: missing {missing}, foreign {foreign}")
sys.stdout.write(f"{wheel.name}: {len(names)} files, all there\n")
