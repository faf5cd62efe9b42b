"""Who may call, and with which certificates: what both services and the command read from files."""
