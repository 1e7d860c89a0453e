"""Writes the pages that are made from the tests: `python -m support`, in `make catalogue`."""

import sys

from support.catalogue import write

if left := write():
    sys.stderr.write(f"no test shows {left}\n")
