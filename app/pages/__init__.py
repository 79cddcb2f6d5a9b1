"""One module per sidebar entry: layout and binding, nothing else."""
