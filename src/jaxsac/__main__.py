"""`python -m jaxsac` is the command line."""

from __future__ import annotations

import sys

from jaxsac.cli.main import main

sys.exit(main())
