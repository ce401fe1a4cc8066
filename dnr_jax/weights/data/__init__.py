"""What ships with the package: the registry of sources, the learned network and its record, U²-Net and its licence."""
