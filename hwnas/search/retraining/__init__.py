"""Networks trained alone: the one found, finalists, those that check a ranking."""
