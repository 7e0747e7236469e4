"""Runs programs: each as one flat Python function of torch calls, behind its guards."""
