"""`python -m core.cli` is `hone`."""

import sys

from core.cli import main

sys.exit(main())
