"""Where things stand in the pictures of the pages: numbers in, numbers out."""
