"""Photo files to arrays and back."""
