"""Ways to reach a server: each opens a `Link` that carries exchanges; none knows what they mean."""
