"""``python -m ebm_causal`` is the command ``ebm-causal``."""

import sys

from ebm_causal.cli import main

if __name__ == "__main__":
    sys.exit(main())
