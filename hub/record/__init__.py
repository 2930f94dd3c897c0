"""What the record answers: Pony queries in, frozen records out."""
