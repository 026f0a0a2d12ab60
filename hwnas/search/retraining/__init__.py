"""Networks trained alone: the one that was found, finalists, and those that a ranking is checked by."""
