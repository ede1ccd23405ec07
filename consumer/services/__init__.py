"""What people do with an installation, for the commands and the API alike."""
