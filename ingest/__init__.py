"""Documents in, an index out. Knows nothing of models that speak."""
