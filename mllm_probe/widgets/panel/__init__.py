"""The steering panel: its setting, streamed answers, pinned answers and fluent doses."""
