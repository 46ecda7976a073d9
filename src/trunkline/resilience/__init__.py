"""What holds calls of tools together, for coroutines of an application's own."""
