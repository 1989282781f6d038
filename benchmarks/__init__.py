"""Speed of dlref beside torch's own operations."""
