"""A server that keeps the networks loaded: a page to drop a photo on, and an HTTP interface with the flags' names."""
