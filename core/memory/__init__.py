"""The memory a run will need, before a byte of it is allocated. Pure arithmetic: no torch, no GPU."""
