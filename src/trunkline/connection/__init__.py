"""One live link to one server: negotiate its era, list what it has, call it, answer what it asks."""
