"""The loop: detect a revision, check, plan, apply, watch, roll back, for as long as the site is up."""
