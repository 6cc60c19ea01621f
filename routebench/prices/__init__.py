"""Price lists, dated list prices by vendor, and costs computed from them."""
