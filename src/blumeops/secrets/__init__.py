"""Secret references, the stores that hold their values, and the keys that open the stores."""
