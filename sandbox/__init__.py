"""The box: one limited, measured and explained child process tree; it knows no message, RB number or store."""
