"""The front desk: parses, accepts, reads, answers."""
