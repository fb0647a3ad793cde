"""What services print: read from their rotated files."""
