"""``python -m bifrost``: the same as the command ``bifrost``."""

import sys

from bifrost.cli import main

sys.exit(main())
