"""``python -m ops.cli``: the command line where the console script is not on PATH."""

from ops.cli.main import main

main()
