"""Code for a study of what three papers claim about pruning neural networks."""

__version__ = "0.1.0"
