"""``diastole feed``: the ways in, each a process of its own that runs until SIGTERM or Ctrl-C."""

import typer

from ops.cli import feed_dicom, feed_folder, feed_http, feed_mllp

app = typer.Typer(help="Take ECGs in: a folder, DICOM, HL7 v2, HTTP.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep each way in a subcommand, also while it is the only one."""


# Each way in has its file, ops/cli/feed_*.py, and its line here.
app.command("folder")(feed_folder.folder)
app.command("dicom")(feed_dicom.dicom)
app.command("mllp")(feed_mllp.mllp)
app.command("http")(feed_http.http)
