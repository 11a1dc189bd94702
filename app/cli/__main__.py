"""`python -m app.cli`: the command without its script."""

from app.cli.main import main

main()
