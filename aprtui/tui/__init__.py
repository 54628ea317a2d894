"""The console: a Textual application that reads run folders and starts engines as processes of their own."""
