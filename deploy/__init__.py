"""How it runs elsewhere: the local engine, the demo model, the image and the runbook."""
