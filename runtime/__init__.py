"""What rewritten code runs on: operators, the recorder, programs, and the backend. Knows nothing of syntax trees."""
