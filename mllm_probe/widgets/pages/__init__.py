"""Pages that open without a kernel: their contents and how they are written."""
