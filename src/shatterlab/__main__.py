"""`python -m shatterlab` is the `shatterlab` command."""

from shatterlab.cli.commands import main

main()
