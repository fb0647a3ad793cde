"""Proofs over lab and facts, one property a module. A check returns findings and never raises."""
