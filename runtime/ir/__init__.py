"""The program: its grammar, its printer, and a reference executor that says what it means."""
