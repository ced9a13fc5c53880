"""`python -m shatterlab` is the `shatterlab` command."""

from shatterlab.cli import main

main()
