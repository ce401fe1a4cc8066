"""What the commands share: flags, sizes as people type them, progress, and one line for whatever goes wrong."""
