"""The pages, one file each: what it shows, and what its buttons do by which call of the client."""
