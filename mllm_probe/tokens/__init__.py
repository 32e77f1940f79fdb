"""Which tokens: the kind of every position, the scopes that choose positions, and where they are in a batch."""
