"""`python -m blumeops`."""

from blumeops.cli.main import main

main()
