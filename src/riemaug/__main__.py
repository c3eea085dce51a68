"""`python -m riemaug` is the command `riemaug`, for where the folder of commands is not on the path."""

from riemaug.cli.main import main

if __name__ == "__main__":
    main()
