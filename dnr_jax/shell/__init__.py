"""What the commands share: flags, sizes as typed, progress, one line for what goes wrong."""
