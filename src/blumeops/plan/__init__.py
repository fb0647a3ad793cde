"""What a sync would change: units compared, ordered, and said in a person's words."""
