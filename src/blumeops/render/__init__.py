"""A checked lab becomes file trees, one renderer a format; pure: same input, same bytes; no secret value, ever."""
