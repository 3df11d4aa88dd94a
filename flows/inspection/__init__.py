"""Questions about a clone: where a file comes from, whether the cache is whole, whether runs can begin."""
