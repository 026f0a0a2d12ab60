"""Other machines: a bundle of models, the agent that runs them there, and the ways there."""
