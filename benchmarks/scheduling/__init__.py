"""The scheduler offline: what runs cost, what policies would do, what a decision takes."""
