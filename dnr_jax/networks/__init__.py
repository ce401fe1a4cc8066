"""The networks whose features the method looks at, and how they are evaluated."""
