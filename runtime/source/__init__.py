"""Programs as ordinary Python source: the way back from a static program to a module that people read and edit."""
