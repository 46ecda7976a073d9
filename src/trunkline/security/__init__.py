"""Guards around untrusted input; this package knows no server and no transport."""
