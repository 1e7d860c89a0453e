"""`python -m onqueue` is the console."""

from onqueue.console import main

if __name__ == "__main__":
    main()
