"""Datasets: where they are, one row after another, what is wrong with them, and what training will use."""
