"""Base models: where they are, what they hold, how they get here, and what of them is trusted."""
