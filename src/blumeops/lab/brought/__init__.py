"""Bring your own: what the files of a lab say that stand in for an app's own rendering."""
