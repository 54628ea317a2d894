"""What the console does beside the screen: runs, child processes, watching files."""
