"""Reading workbooks that strangers made: checked first, then read in a process that may die."""
