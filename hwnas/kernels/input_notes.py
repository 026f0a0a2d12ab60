"""What the metadata of a model say of its inputs, for made-up values; the agent has these, too."""

__all__ = ["ALIKE", "BELOW"]

#: Behind this stands an input of whole numbers, and what they lie below: rows of the table that
#: they pick from. Runtimes that read it give such numbers, others ones.
BELOW = "hwnas.below."
#: Behind this stands an input, and how many of its numbers in a row have one sign.
ALIKE = "hwnas.alike."
