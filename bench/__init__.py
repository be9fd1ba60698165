"""The benchmark: real processes, one honest table."""
