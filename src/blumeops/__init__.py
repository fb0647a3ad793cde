"""One Git repository turned into a running home lab, and kept so."""
