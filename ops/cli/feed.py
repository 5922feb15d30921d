"""``diastole feed``: the ways in, each a process of its own that runs until SIGTERM or Ctrl-C."""

import typer

app = typer.Typer(help="Take ECGs in: a folder, DICOM, HL7 v2, HTTP.", no_args_is_help=True)

# Each way in has its file, ops/cli/feed_*.py, and registers its command here.
