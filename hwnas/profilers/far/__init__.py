"""Other machines: a kit of models, the agent that runs them there, and the lines there."""
