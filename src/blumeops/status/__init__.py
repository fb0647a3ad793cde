"""What is so, and what happened: conditions and history of a site, in SQLite."""
