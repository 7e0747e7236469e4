"""Every private name of torch that d2s uses, in one place. Tested with torch 2.13.0."""
