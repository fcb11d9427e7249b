"""What is asked, counted and measured for each type of task."""
