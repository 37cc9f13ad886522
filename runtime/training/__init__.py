"""Training: what runs inside a train job, in the training environment. No Django, no pandas."""
