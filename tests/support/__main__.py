"""Writes the pages that are made from the tests and the code: `python -m support`."""

import sys

from support import api_reference, catalogue, core_reference

core_reference.write()
api_reference.write()
if left := catalogue.write():
    sys.stderr.write(f"no test shows {left}\n")
