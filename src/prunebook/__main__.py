"""``python -m prunebook`` is the command line."""

from prunebook.cli import app

app(prog_name="prunebook")
