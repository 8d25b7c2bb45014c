"""The supervisor: messages, the shared store, the RB lock, and the processes around one run."""
