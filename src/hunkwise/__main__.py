"""`python -m hunkwise`."""

import gc
import sys

from hunkwise.cli import main

code = main(sys.argv[1:])
gc.freeze()  # what is left goes with the process: the interpreter's last look for garbage takes 0.3 s
sys.exit(code)
