"""The console: pages for people. What they show the API answers, what they change the desk takes."""
