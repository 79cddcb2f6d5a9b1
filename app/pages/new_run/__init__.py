"""The parts of the New run page."""
