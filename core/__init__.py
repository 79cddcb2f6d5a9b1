"""The language that the window and the worker both speak: no Qt, and no torch outside `core.worker`."""
