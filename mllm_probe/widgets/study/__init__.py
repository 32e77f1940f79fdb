"""A study: its summary, its charts and its multiverse, with the selection that the other widgets share."""
