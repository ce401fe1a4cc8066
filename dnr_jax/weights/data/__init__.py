"""What ships with the package: the registry of sources, and the learned network with its record."""
