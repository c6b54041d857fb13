"""Write environment.yml, the conda user's environment, with exactly the pins of requirements.lock."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

HEAD = """\
# Made by `make lock` from requirements.lock: the same pins, for conda users.
#   conda env create -f environment.yml && conda activate prunebook
name: prunebook
channels:
  - conda-forge
dependencies:
  - python=3.11
  - pip
  - pip:
"""


def pins(lock: str) -> list[str]:
    """The requirement lines of a lock file's text (`name==version ; marker`), without hashes and comments."""
    lines = re.findall(r"^[A-Za-z0-9][^\\\n#]*", lock, flags=re.MULTILINE)
    return [line.strip() for line in lines]


def render(lock: str) -> str:
    """The text of environment.yml for a lock file's text."""
    return HEAD + "".join(f'      - "{pin}"\n' for pin in pins(lock)) + "      - -e .\n"


if __name__ == "__main__":
    target = ROOT / "environment.yml"
    target.write_text(render((ROOT / "requirements.lock").read_text(encoding="utf-8")), encoding="utf-8")
    print(f"{target.name} written")
