"""``python -m mllm_probe.cli``: the program ``mllm-probe``."""

import sys

from mllm_probe.cli.command_line import main

if __name__ == "__main__":
    sys.exit(main())
