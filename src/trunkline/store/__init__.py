"""What is kept between runs: where it lies, in which form, and how much of it."""
