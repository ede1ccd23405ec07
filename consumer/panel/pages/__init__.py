"""The panel's pages: what they show, and how it becomes HTML."""
