"""Values and signals that pages listen to; no widgets."""
