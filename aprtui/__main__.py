"""`python -m aprtui` is the `aprtui` command."""

from aprtui.cli import main

if __name__ == "__main__":
    main()
