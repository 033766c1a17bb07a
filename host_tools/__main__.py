"""`python -m host_tools` is `filament`."""

from host_tools.cli import main

main()
