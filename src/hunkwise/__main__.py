"""`python -m hunkwise`."""

import gc
import sys

from hunkwise.cli import main

code = main(sys.argv[1:])
gc.freeze()  # the process ends here: without it, the interpreter's final garbage collection takes 0.3 s
sys.exit(code)
