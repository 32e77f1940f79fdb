"""Pages that open without a kernel: what they hold and how they are written."""
