"""Values and small parts that every room uses. No torch here."""
