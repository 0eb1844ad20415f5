"""Many runs, on one machine or many."""
