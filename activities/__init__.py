"""The hands: every side effect; one class per subject, its tools handed in."""
