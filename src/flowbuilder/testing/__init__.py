"""What users (and our own tests) need to test flows and stores."""
